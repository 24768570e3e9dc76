--- `errors`: pages for statuses. A page that is a file or a text becomes a named route of the site without hooks or access control, so
--- that it is sent whatever refused the request.
local inherit = require "conf.inherit"
local log_model = require "conf.log_model"
local mimes = require "conf.mimes"
local route_model = require "conf.route_model"
local schema = require "conf.schema"
local sorted_keys = require("conf.check").sorted_keys

local M = {}

local ranges = { ["3xx"] = { 300, 399 }, ["4xx"] = { 400, 499 }, ["5xx"] = { 500, 599 } }

local function type_of(path)
  local usual = mimes.usual()
  return usual[(path:match("%.([%w]+)$") or ""):lower()] or "text/html"
end

--- What a route made for a page keeps of the options that hold where the page was declared.
local kept = { "headers", "security", "log", "expires", "compress", "timeouts", "client" }

--- Options that hold where `page` was declared: the outermost scopes up to the one that has it.
local function scopes_of(page, key, scopes)
  local out = {}
  for i, options in ipairs(scopes) do
    out[i] = options
    if options.errors and options.errors[key] == page then
      return out
    end
  end
  return out
end

local function body_of(c, page)
  if page.body then
    return page.body
  end
  local bytes, err = c.loader:read(page.file, "")
  if not bytes then
    c:report({ holder = c.raw[page], key = "file" }, err)
  end
  return bytes, true
end

--- A route of the site that no declaration stands for: as it would be with those of the options that any answer has.
local function made_route(b, site, options, at, r)
  local where = b.c:locate(at)
  local o = {}
  for _, name in ipairs(kept) do
    o[name] = options[name]
  end
  r.order, r.label = #site.model.routes, where and where.file and ("%s:%d"):format(where.file, where.line) or site.decl.at.file
  log_model.fill(b, r, o.log)
  route_model.dress(r, o)
  table.insert(site.model.routes, r)
  return r
end

--- The named route that answers with the page, made once for each place it was declared at.
local function route_of(b, site, page, key, scopes)
  site.pages = site.pages or {}
  if not site.pages[page] then
    local options = inherit.effective(schema.route, scopes_of(page, key, scopes))
    local body, plain = body_of(b.c, page)
    local name = ("@ page %d"):format(#site.model.routes)
    site.pages[page] = made_route(b, site, options, page.at, {
      match = "named", pattern = name, action = "reply", reply_status = 200, reply_body = body, reply_plain = plain,
      reply_type = page.type or page.file and type_of(page.file) or "text/html",
    })
  end
  return site.pages[page].pattern
end

--- What no route takes has the site's error pages too.
---@param b table
---@param site table
---@param options table   as they hold for the site
---@return table|nil
function M.fallback(b, site, options)
  return options.errors and made_route(b, site, options, site.decl.at, { match = "inner", pattern = "/", action = "none" }) or nil
end

local function target_of(b, site, page, key, scopes)
  if not page.page then
    return route_of(b, site, page, key, scopes)
  elseif page.page:sub(1, 1) == "@" and not page.page:find("$", 1, true) and not site.named[page.page] then
    b.c:report(page.at, ("site %q has no route %q"):format(site.names[1] or "?", page.page),
      { hint = ('add route %q { … }'):format(page.page) })
  end
  return page.page
end

--- Fills error_pages of a route.
---@param b table        the builder
---@param site table
---@param r table        the route of the model
---@param o table        options as they hold
---@param scopes table[] options from the outermost to the innermost
function M.fill(b, site, r, o, scopes)
  if not o.errors then
    return
  end
  local list = {}
  for _, key in ipairs(sorted_keys(o.errors)) do -- statuses before classes
    local page, range = o.errors[key], ranges[key]
    list[#list + 1] = type(page) == "table" and {
      status = range and range[1] or key, last = range and range[2] or nil, target = target_of(b, site, page, key, scopes),
      answer = page.status == "page" and 0 or page.status or nil,
    } or nil
  end
  r.error_pages = list[1] and list or nil
  r.recursive_errors = o.errors.recursive
end

return M

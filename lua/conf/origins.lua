--- Where what holds for a route was written: { name, value, file, line } for each option, the innermost that says it first. For
--- `moongate explain`.
local schema = require "conf.schema"

local M = {}

local function show(v)
  if type(v) == "table" then
    local keys = {}
    for k, item in pairs(v) do
      if type(item) ~= "table" and type(item) ~= "function" then
        keys[#keys + 1] = type(k) == "number" and tostring(item) or ("%s = %s"):format(k, tostring(item))
      end
    end
    table.sort(keys)
    return "{ " .. table.concat(keys, ", ") .. " }"
  elseif type(v) == "string" then
    return ("%q"):format(v)
  end
  return tostring(v)
end

--- Options that are said elsewhere in the explanation.
local apart = { proxy = true, redirect = true, reply = true, files = true, use = true, on = true, listen = true, tls = true }

local function collect(out, seen, loader, holder, prefix)
  local keys = {}
  for key in pairs(holder) do
    if type(key) == "string" then
      keys[#keys + 1] = key
    end
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    local name, value = prefix .. key, rawget(holder, key)
    local at = loader:key_place(holder, key)
    if type(value) == "table" and getmetatable(value) == nil and #value == 0 and prefix == "" and not apart[key] then
      collect(out, seen, loader, value, name .. ".")
    elseif not apart[name] and not seen[name] and schema.route.by_name[name:match("^[^.]*")] then
      seen[name] = true
      out[#out + 1] = { name = name, value = show(value), file = at and at.file or "?", line = at and at.line or 0 }
    end
  end
end

local function label_of(d)
  return ("%s:%d"):format(d.at.file, d.at.line)
end

--- Native options by the label of each route and site. Made at once: what the loader knows of places is gone when it is sealed.
---@param loader table
---@return table<string, table[]>
function M.native(loader)
  local by_label = {}
  local function add(d, ...)
    local out, seen = {}, {}
    for _, around in ipairs { d, ... } do
      if around.body then
        collect(out, seen, loader, around.body, "")
      end
    end
    by_label[label_of(d)] = out
  end
  for _, site in ipairs(loader.sites) do
    add(site, loader.gateway)
    for _, d in ipairs(site.body or {}) do
      add(d, site, loader.gateway)
    end
  end
  return by_label
end

--- Blocks and what decides which block: not settings.
local structural = {
  location = true, server = true, upstream = true, ["if"] = true, http = true, events = true, listen = true, server_name = true, map = true,
  geo = true, limit_except = true, types = true, split_clients = true, log_format = true, limit_req_zone = true, limit_conn_zone = true,
}

local function scope_at(scope, label)
  local d = scope.node
  if d and scope.kind ~= "main" and ("%s:%d"):format(d.file, d.line) == label then
    return scope
  end
  for _, child in ipairs(scope.children) do
    local found = scope_at(child, label)
    if found then
      return found
    end
  end
  return nil
end

--- Directives that hold for the block at `label`.
---@param main nginx.Scope
---@param label string
function M.nginx(main, label)
  local out, seen, scope = {}, {}, main.http and scope_at(main.http, label)
  while scope do
    local here = {}
    for _, d in ipairs(scope.node and scope.node.block or {}) do
      if not structural[d.name] and not seen[d.name] then
        here[d.name] = true
        out[#out + 1] = { name = d.name, value = table.concat(d.args, " "), file = d.file, line = d.line }
      end
    end
    for name in pairs(here) do
      seen[name] = true
    end
    scope = scope.parent
  end
  return out
end

return M

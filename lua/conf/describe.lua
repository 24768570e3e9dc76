--- The schema told to others: JSON Schema (editors, pipelines), LuaLS stubs (completion and checks while typing), Markdown (the
--- reference in docs/config.md).
local schema = require "conf.schema"

local M = {}

local declarations = {
  { "gateway", schema.gateway, "the process and what holds for all sites", "gateway { … }" },
  { "upstream", schema.upstream, "a group of peers", 'upstream "name" { "127.0.0.1:3000", … }' },
  { "site", schema.site, "host names and their routes", 'site "app.example.com" { … }' },
  { "route", schema.route, "a path of a site", 'route "/path" { … }' },
}

local function json_of(t)
  if t.can_many or t.short_type then
    local one = {}
    for k, v in pairs(t) do
      one[k] = v
    end
    one.can_many, one.short_type = nil, t.can_many and t.short_type or nil
    local first = t.can_many and { type = "array", items = json_of(one) } or json_of(t.short_type)
    return { anyOf = { first, json_of(one) } }
  end
  local out
  if t.is_record then
    local properties = {}
    for _, f in ipairs(t.fields) do
      if not f.type.later then
        local p = {}
        for k, v in pairs(json_of(f.type)) do
          p[k] = v
        end
        p.description = f.doc
        properties[f.name] = p
      end
    end
    out = { type = "object", additionalProperties = false, properties = properties }
  elseif t.is_list then
    out = { type = "array", items = json_of(t.item) }
  elseif t.is_map then
    out = { type = "object", additionalProperties = json_of(t.item) }
  else
    out = type(t.json) == "table" and t.json or {}
  end
  if t.can_off or t.can_on then
    local off = t.can_on and { type = "boolean" } or { const = false }
    return { anyOf = { out, off } }
  end
  return out
end

--- JSON Schema of the native dialect as data: one definition for each declaration.
---@return table
function M.json_schema()
  local defs = {}
  for _, d in ipairs(declarations) do
    defs[d[1]] = json_of(d[2])
    defs[d[1]].description = d[3]
  end
  return { ["$schema"] = "https://json-schema.org/draft/2020-12/schema", title = "Moongate configuration", ["$defs"] = defs }
end

local Stubs = {}
Stubs.__index = Stubs

--- LuaLS type of `t`; records become classes named after their path.
function Stubs:lua(t, name)
  local text
  if t.is_record then
    self:class(t, name)
    text = name
  elseif t.is_list then
    text = ("(%s)[]"):format(self:lua(t.item, name .. ".Item"))
  elseif t.is_map then
    text = ("table<%s, %s>"):format(t.key.lua, self:lua(t.item, name .. ".Item"))
  else
    text = t.lua
  end
  if t.short_type then
    text = self:lua(t.short_type, name) .. "|" .. text
  end
  if t.can_many then
    text = ("%s|(%s)[]"):format(text, text)
  end
  if t.can_on then
    text = text .. "|boolean"
  elseif t.can_off then
    text = text .. "|false"
  end
  return text
end

function Stubs:class(t, name)
  if self.seen[name] then
    return
  end
  self.seen[name] = true
  local lines = { "---@class " .. name }
  for _, f in ipairs(t.fields) do
    if not f.type.later then
      local class = name .. "." .. f.name:gsub("^%l", string.upper):gsub("_(%l)", string.upper)
      lines[#lines + 1] = ("---@field %s? %s %s"):format(f.name, self:lua(f.type, class), f.doc)
    end
  end
  if t.positional then
    lines[#lines + 1] = "---@field [integer] " .. t.positional.lua
  end
  self.out[#self.out + 1] = table.concat(lines, "\n")
end

--- What the declarations take and give.
local vocabulary = [[
---@class conf.Upstream
---@class conf.Site
---@class conf.Route
---@class conf.Policy: fun(options: table): conf.Policy
---@class conf.Peer: table
---@class conf.Tls: table

---@param options conf.GatewayOptions
function gateway(options) end

---@param name string
---@return fun(options: conf.UpstreamOptions): conf.Upstream
function upstream(name) end

---@param host string|string[]
---@return fun(options: conf.SiteOptions): conf.Site
function site(host) end

---@param path string
---@return fun(options: conf.RouteOptions): conf.Route
function route(path) end

---@param name string
---@return conf.Policy
function policy(name) end

---@param name string
---@param default? string
---@return string
function env(name, default) end

---@param path string
---@return string
function file(path) end

---@param pattern string
---@return any
function include(pattern) end]]

--- LuaLS stubs of the configuration's vocabulary.
---@return string
function M.stubs()
  local self = setmetatable({ out = { "---@meta", "-- Written by `moongate schema --stubs`." }, seen = {} }, Stubs)
  for _, d in ipairs(declarations) do
    self:class(d[2], "conf." .. d[1]:gsub("^%l", string.upper) .. "Options")
  end
  self.out[#self.out + 1] = vocabulary
  return table.concat(self.out, "\n\n") .. "\n"
end

local where = { g = "gateway", s = "site", r = "route" }

local function scopes_text(f)
  local words = {}
  for letter in (f.scopes or ""):gmatch(".") do
    words[#words + 1] = where[letter]
  end
  return table.concat(words, ", ")
end

local function rows(out, t, prefix, seen)
  for _, f in ipairs(t.fields) do
    local kind = f.type
    if not kind.later and not seen[f] then
      local name = prefix .. f.name
      if kind.is_record and #kind.fields > 0 then
        local tail = kind.can_on and "; true or false" or kind.can_off and "; or false" or ""
        out[#out + 1] = ("| `%s` | table%s | %s | %s |"):format(name, tail, f.doc, scopes_text(f))
        rows(out, kind, name .. ".", seen)
      else
        out[#out + 1] = ("| `%s` | %s | %s | %s |"):format(name, kind:words():gsub("|", "\\|"), f.doc, scopes_text(f))
      end
    end
  end
end

--- Markdown tables of all options, for docs/config.md.
---@return string
function M.markdown()
  local out, shared = {}, {}
  local in_route = {}
  for _, f in ipairs(schema.route.fields) do
    in_route[f] = true
  end
  for _, d in ipairs(declarations) do
    out[#out + 1] = ("### %s\n\n`%s`: %s.\n"):format(d[1], d[4], d[3])
    out[#out + 1] = "| option | value | meaning | written in |\n| --- | --- | --- | --- |"
    rows(out, d[2], "", d[1] ~= "route" and in_route or shared)
    out[#out + 1] = ""
  end
  return table.concat(out, "\n")
end

return M

--- core/conf/fields.def read as data, and a check of a model against it: every field known, of its type, every reference in range.
local M = {}

local function words_of(arg)
  local set = {}
  for word in arg:gmatch("[^|\"]+") do
    set[word] = true
  end
  return set
end

--- kind → name → { type, arg }
function M.read()
  local kinds = {}
  for line in io.lines("core/conf/fields.def") do
    local kind, type, name, rest = line:match("^F%((%w+), (%u+), ([%w_]+), (.*)$")
    if kind then
      kinds[kind] = kinds[kind] or {}
      kinds[kind][name] = { type = type, arg = rest:match('^(".-")') or rest:match("^([%w_-]+)") }
    end
  end
  return kinds
end

local lua_types = {
  BOOL = "boolean", INT = "integer", MS = "integer", SIZE = "integer", STR = "string", TMPL = "string", REF = "integer", STRS = "string[]",
  REFS = "integer[]",
}

local units = { MS = " (ms)", SIZE = " (bytes)", REF = " (index from 0)", TMPL = " ($variables)" }

--- LuaLS classes of the model: the text of lua/conf/model.lua.
---@return string
function M.classes()
  local out = {
    "---@meta", "-- The model: exactly the fields of core/conf/fields.def, written from it by spec/conf/model_spec.lua.",
    "-- A field that is absent has the default said there.",
  }
  local current
  for line in io.lines("core/conf/fields.def") do
    local kind, type, name, rest = line:match("^F%((%w+), (%u+), ([%w_]+), (.*)%)$")
    if kind then
      if kind ~= current then
        out[#out + 1] = "\n---@class conf.model." .. kind
        current = kind
      end
      local arg, doc = rest:match('^("?[^",]+"?), .-, "(.*)"$')
      local lua = lua_types[type] or type == "OBJS" and ("conf.model.%s[]"):format(arg) or '"' .. arg:gsub('"', ""):gsub("|", '"|"') .. '"'
      out[#out + 1] = ("---@field %s? %s %s%s"):format(name, lua, (doc or ""):gsub('\\"', '"'), units[type] or ""):gsub("%s+$", "")
    end
  end
  return table.concat(out, "\n") .. "\n"
end

local plain = {
  BOOL = "boolean", INT = "number", MS = "number", SIZE = "number", STR = "string", TMPL = "string", ENUM = "string", REF = "number",
  STRS = "table", REFS = "table", OBJS = "table",
}

local targets = { upstream = "upstreams", log = "logs", site = "sites", resolver = "resolvers", mime = "mimes" }

local function check_value(path, f, v, gateway, errors, walk)
  local function bad(what)
    errors[#errors + 1] = ("%s: %s"):format(path, what)
  end
  if type(v) ~= plain[f.type] then
    return bad(("%s must be a %s, is a %s"):format(f.type, plain[f.type], type(v)))
  elseif f.type == "ENUM" and not words_of(f.arg)[v] then
    return bad(("'%s' is none of %s"):format(v, f.arg))
  elseif f.type == "REF" and targets[f.arg] and not (gateway[targets[f.arg]] or {})[v + 1] then
    return bad(("%d: no such %s"):format(v, f.arg))
  elseif f.type == "OBJS" then
    for i, item in ipairs(v) do
      walk(("%s[%d]"):format(path, i - 1), f.arg, item)
    end
  end
end

--- What is wrong with a model, as texts; empty: nothing.
---@param gateway table
---@return string[]
function M.problems(gateway)
  local kinds, errors = M.read(), {}
  local function walk(path, kind, object)
    for name, v in pairs(object) do
      local f = kinds[kind][name]
      if not f then
        errors[#errors + 1] = ("%s.%s: %s has no such field"):format(path, tostring(name), kind)
      else
        check_value(path .. "." .. name, f, v, gateway, errors, walk)
      end
    end
  end
  walk("gateway", "gateway", gateway)
  table.sort(errors)
  return errors
end

local function show(v)
  return type(v) == "string" and ("%q"):format(v):gsub("\\\n", "\\n") or tostring(v)
end

--- Canonical text: one "path = value" per line.
---@param model table
---@return string
function M.dump(model)
  local out = {}
  local function walk(path, v)
    if type(v) ~= "table" then
      out[#out + 1] = ("%s = %s"):format(path, show(v))
      return
    end
    local keys = {}
    for key in pairs(v) do
      keys[#keys + 1] = key
    end
    table.sort(keys, function(a, b)
      if type(a) == type(b) then
        return a < b
      end
      return type(a) == "number"
    end)
    for _, key in ipairs(keys) do
      walk(type(key) == "number" and ("%s[%d]"):format(path, key - 1) or path == "" and key or path .. "." .. key, v[key])
    end
  end
  walk("", model)
  return table.concat(out, "\n") .. "\n"
end

return M

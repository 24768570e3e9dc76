--- Types of policy options: checking, defaults, documentation, from one declaration.
---
---   local t = require("moongate").schema
---   options = t.record {
---     rate  = t.rate():doc("requests per key, such as \"5/m\""),
---     burst = t.integer(0):default(0):doc("requests that may come early"),
---     by    = t.enum { "client_ip", "header" }:optional(),
---   }
---
--- `type:check(value, path, context)` returns the checked value in plain units (seconds, bytes) and nil; or nil
--- and a list of { path =, message = }. An optional value that is absent is nil and nil. This file needs
--- nothing but Lua and moongate.distance, so that configurations can be checked anywhere.
local distance = require "moongate.distance"

local M = {}

---@class moongate.Error
---@field path string      where: "rate", "list[2].name"; "" is the value itself
---@field message string

---@class moongate.Context what a check may know of its surroundings
---@field upstream (fun(name: string): table|nil)|nil  finds a handle by name
---@field regex (fun(pattern: string): boolean, string|nil)|nil  compiles a pattern: ok, error

---@class moongate.Type
---@field expect string    what is expected, in words
---@field lua string       LuaLS type
---@field json table       JSON Schema
---@field is_optional boolean|nil
---@field default_value any
---@field doc_text string|nil
local Type = {}
Type.__index = Type

--- For messages: a value as it was written.
local function show(v)
  if type(v) == "string" then
    return #v > 40 and ("%q"):format(v:sub(1, 37) .. "...") or ("%q"):format(v)
  elseif type(v) == "number" or type(v) == "boolean" then
    return type(v) .. " " .. tostring(v)
  elseif type(v) == "table" and v.__upstream then
    return "an upstream"
  elseif v == nil then
    return "nothing"
  end
  return "a " .. type(v)
end

local function fail(path, message)
  return nil, { { path = path, message = message } }
end

local function new(expect, lua, json, run)
  return setmetatable({ expect = expect, lua = lua, json = json, run = run }, Type)
end

local function copy(self)
  local out = {}
  for k, v in pairs(self) do
    out[k] = v
  end
  return setmetatable(out, Type)
end

--- The option may be left out.
---@return moongate.Type
function Type:optional()
  local out = copy(self)
  out.is_optional = true
  return out
end

--- The option may be left out; then it is `value`, written as a user would write it.
---@return moongate.Type
function Type:default(value)
  local out = copy(self)
  out.is_optional, out.default_value = true, value
  return out
end

--- One line for the manual.
---@return moongate.Type
function Type:doc(text)
  local out = copy(self)
  out.doc_text = text
  return out
end

--- Checks `value`.
---@param value any
---@param path string|nil
---@param context moongate.Context|nil
---@return any value, moongate.Error[]|nil errors
function Type:check(value, path, context)
  path = path or ""
  if value == nil then
    if self.default_value ~= nil then
      return self.run(self, self.default_value, path, context or {})
    elseif self.is_optional then
      return nil, nil
    end
    return fail(path, "is missing: expected " .. self.expect)
  end
  return self.run(self, value, path, context or {})
end

--- A type from a function that returns the checked value, or nil and optionally a hint.
local function scalar(expect, lua, json, f)
  return new(expect, lua, json, function(self, v, path, context)
    local value, hint = f(v, context)
    if value == nil then
      local message = ("must be %s, got %s"):format(self.expect, show(v))
      return fail(path, hint and message .. " (" .. hint .. ")" or message)
    end
    return value
  end)
end

---@return moongate.Type
function M.any()
  return scalar("a value", "any", {}, function(v)
    return v
  end)
end

---@return moongate.Type
function M.boolean()
  return new("true or false", "boolean", { type = "boolean" }, function(self, v, path)
    if type(v) ~= "boolean" then
      return fail(path, ("must be %s, got %s"):format(self.expect, show(v)))
    end
    return v
  end)
end

--- A string; `min` and `max` bound its length in bytes.
---@return moongate.Type
function M.string(min, max)
  local expect = min and min > 0 and "a string that is not empty" or "a string"
  local json = { type = "string", minLength = min, maxLength = max }
  return scalar(expect, "string", json, function(v)
    if type(v) == "string" and #v >= (min or 0) and #v <= (max or math.huge) then
      return v
    end
    return nil, type(v) == "number" and ("write %q"):format(tostring(v)) or nil
  end)
end

local function range(what, min, max)
  if min and max then
    return ("%s from %s to %s"):format(what, min, max)
  end
  return min and ("%s, %s or more"):format(what, min) or max and ("%s, at most %s"):format(what, max) or what
end

---@param min number|nil
---@param max number|nil
---@return moongate.Type
function M.number(min, max)
  local json = { type = "number", minimum = min, maximum = max }
  return scalar(range("a number", min, max), "number", json, function(v)
    if type(v) == "number" and v == v and v >= (min or -math.huge) and v <= (max or math.huge) then
      return v
    end
    return nil, type(v) == "string" and tonumber(v) and "write " .. v or nil
  end)
end

---@param min integer|nil
---@param max integer|nil
---@return moongate.Type
function M.integer(min, max)
  local json = { type = "integer", minimum = min, maximum = max }
  return scalar(range("a whole number", min, max), "integer", json, function(v)
    if type(v) == "number" and v == math.floor(v) and math.abs(v) < 2 ^ 53
      and v >= (min or -math.huge) and v <= (max or math.huge) then
      return v
    end
    return nil, type(v) == "string" and tonumber(v) and "write " .. v or nil
  end)
end

--- One of the words in `list`.
---@param list string[]
---@return moongate.Type
function M.enum(list)
  local quoted, set = {}, {}
  for i, word in ipairs(list) do
    quoted[i], set[word] = ("%q"):format(word), true
  end
  local expect = #list == 1 and quoted[1] or "one of " .. table.concat(quoted, ", ")
  return scalar(expect, table.concat(quoted, "|"), { enum = list }, function(v)
    return type(v) == "string" and set[v] and v or nil
  end)
end

local UNITS = { ms = 0.001, s = 1, m = 60, h = 3600, d = 86400 }
local SIZES = { [""] = 1, b = 1, k = 1024, m = 1024 ^ 2, g = 1024 ^ 3 }

--- Sum of "number unit" pairs, nil when the text is anything else.
local function measured(text, units)
  local sum, at = 0, 1
  while at <= #text do
    local number, unit, after = text:match("^(%d+%.?%d*)(%a*)()", at)
    local factor = number and units[unit:lower()]
    if not factor then
      return nil
    end
    sum, at = sum + tonumber(number) * factor, after
  end
  return text ~= "" and sum or nil
end

--- "5s", "250ms", "1h30m": becomes seconds.
---@return moongate.Type
function M.duration()
  local json = { type = "string", pattern = "^([0-9.]+(ms|s|m|h|d))+$" }
  return scalar('a duration such as "5s"', "string", json, function(v)
    if type(v) == "number" then
      return nil, ('write "%ss"'):format(v)
    end
    return type(v) == "string" and measured(v, UNITS) or nil
  end)
end

--- "16k", "1g": becomes bytes.
---@return moongate.Type
function M.size()
  local json = { type = "string", pattern = "^[0-9.]+[bkmgBKMG]?$" }
  return scalar('a size such as "16k"', "string", json, function(v)
    if type(v) == "number" then
      return nil, ('write "%sb"'):format(v)
    end
    return type(v) == "string" and measured(v, SIZES) or nil
  end)
end

--- "5/m": becomes { count = 5, seconds = 60, text = "5/m" }.
---@return moongate.Type
function M.rate()
  local json = { type = "string", pattern = "^[0-9.]+/([0-9]*)(s|m|h|d)$" }
  return scalar('a rate such as "10/s" or "5/m"', "string", json, function(v)
    if type(v) ~= "string" then
      return nil, type(v) == "number" and ('write "%s/s"'):format(v) or nil
    end
    local count, times, unit = v:match("^(%d+%.?%d*)%s*/%s*(%d*)(%a+)$")
    local seconds = count and UNITS[unit]
    count = tonumber(count)
    if not seconds or unit == "ms" or count <= 0 then
      return nil
    end
    return { count = count, seconds = seconds * (tonumber(times) or 1), text = v }
  end)
end

local function is_ipv4(v)
  local a, b, c, d = v:match("^(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)%.(%d%d?%d?)$")
  return a and tonumber(a) < 256 and tonumber(b) < 256 and tonumber(c) < 256 and tonumber(d) < 256
end

local function is_ipv6(v)
  if not v:match("^[%x:]+[%x:.]*$") or v:find(":::", 1, true) then
    return false
  end
  local head, tail = v:match("^(.-)::(.*)$")
  local groups = 0
  for part in (head and head .. ":" .. tail or v):gmatch("[^:]+") do
    if not part:match("^%x%x?%x?%x?$") then
      return part:find(".", 1, true) ~= nil and is_ipv4(part) and v:sub(-#part) == part
    end
    groups = groups + 1
  end
  return head and groups < 8 and not tail:find("::", 1, true) or groups == 8
end

--- An address or a network: "10.0.0.0/8", "2001:db8::/32", "::1".
---@return moongate.Type
function M.cidr()
  return scalar('a network such as "10.0.0.0/8"', "string", { type = "string" }, function(v)
    if type(v) ~= "string" then
      return nil
    end
    local base, bits = v:match("^([^/]+)/(%d+)$")
    base, bits = base or v, tonumber(bits)
    if is_ipv4(base) then
      return (bits or 32) <= 32 and v or nil
    end
    return base:find(":", 1, true) and is_ipv6(base) and (bits or 128) <= 128 and v or nil
  end)
end

--- A text with $variables; mg.template compiles it.
---@return moongate.Type
function M.template()
  return scalar("a string, $variables allowed", "string", { type = "string" }, function(v)
    return type(v) == "string" and v or type(v) == "number" and tostring(v) or nil
  end)
end

--- A regular expression (PCRE2); mg.re compiles it.
---@return moongate.Type
function M.regex()
  return scalar("a regular expression", "string", { type = "string" }, function(v, context)
    if type(v) ~= "string" then
      return nil
    elseif context.regex then
      local ok, why = context.regex(v)
      return ok and v or nil, why
    end
    return v
  end)
end

--- An upstream handle, or its name: becomes the handle when the context knows it.
---@return moongate.Type
function M.upstream()
  return scalar("an upstream or its name", "conf.Upstream|string", { type = "string" }, function(v, context)
    if type(v) == "table" and v.__upstream then
      return v
    elseif type(v) ~= "string" then
      return nil
    elseif not context.upstream then
      return v
    end
    local handle = context.upstream(v)
    return handle, not handle and "there is no upstream of that name" or nil
  end)
end

---@return moongate.Type
function M.func()
  return scalar("a function", "function", false, function(v)
    return type(v) == "function" and v or nil
  end)
end

--- Adds what `t` finds at `path`; returns the value.
local function collect(errors, t, value, path, context)
  local checked, found = t:check(value, path, context)
  for _, e in ipairs(found or {}) do
    errors[#errors + 1] = e
  end
  return checked
end

local function done(out, errors)
  if #errors > 0 then
    return nil, errors
  end
  return out
end

--- A list of `item`. With `lone` in the options a single item may stand for a list of one.
---@param item moongate.Type
---@param options { lone: boolean|nil, min: integer|nil, max: integer|nil }|nil
---@return moongate.Type
function M.array(item, options)
  options = options or {}
  local json = { type = "array", items = item.json, minItems = options.min, maxItems = options.max }
  return new("a list: " .. item.expect .. ", ...", item.lua .. "[]", json, function(self, v, path, context)
    if options.lone and (type(v) ~= "table" or v.__upstream) then
      v = { v }
    elseif type(v) ~= "table" then
      return fail(path, ("must be %s, got %s"):format(self.expect, show(v)))
    end
    local out, errors = {}, {}
    for key in pairs(v) do
      if type(key) ~= "number" then
        errors[#errors + 1] = { path = path, message = ("is a list; %q does not belong there"):format(tostring(key)) }
      end
    end
    for i, element in ipairs(v) do
      out[i] = collect(errors, item, element, ("%s[%d]"):format(path, i), context)
    end
    if #v < (options.min or 0) or #v > (options.max or math.huge) then
      errors[#errors + 1] = { path = path, message = range("must have", options.min, options.max) .. " entries" }
    end
    return done(out, errors)
  end)
end

--- A table from `key` to `item`.
---@param key moongate.Type
---@param item moongate.Type
---@return moongate.Type
function M.map(key, item)
  local json = { type = "object", additionalProperties = item.json }
  local lua = ("table<%s, %s>"):format(key.lua, item.lua)
  return new("a table of names and values", lua, json, function(self, v, path, context)
    if type(v) ~= "table" then
      return fail(path, ("must be %s, got %s"):format(self.expect, show(v)))
    end
    local out, errors = {}, {}
    for name, element in pairs(v) do
      local at = path == "" and tostring(name) or path .. "." .. tostring(name)
      local checked = collect(errors, key, name, at, context)
      if checked ~= nil then
        out[checked] = collect(errors, item, element, at, context)
      end
    end
    table.sort(errors, function(a, b)
      return a.path < b.path
    end)
    return done(out, errors)
  end)
end

--- The first type of several that accepts the value.
---@param list moongate.Type[]
---@return moongate.Type
function M.either(list)
  local words, lua, json = {}, {}, {}
  for i, t in ipairs(list) do
    words[i], lua[i], json[i] = t.expect, t.lua, t.json
  end
  return new(table.concat(words, ", or "), table.concat(lua, "|"), { anyOf = json }, function(self, v, path, context)
    for _, t in ipairs(list) do
      local value, errors = t:check(v, path, context)
      if not errors then
        return value
      end
    end
    return fail(path, ("must be %s, got %s"):format(self.expect, show(v)))
  end)
end

local function nearest(name, names)
  local best, at
  for _, other in ipairs(names) do
    local d = distance.between(name, other)
    if d <= math.max(1, math.floor(#other / 3)) and (not best or d < at) then
      best, at = other, d
    end
  end
  return best
end

local function unknown(self, key)
  local near = nearest(tostring(key), self.names)
  local message = ("unknown option '%s'"):format(tostring(key))
  if near then
    message = message .. ("; did you mean '%s'?"):format(near)
  end
  return message .. (" (valid: %s)"):format(#self.names > 0 and table.concat(self.names, ", ") or "none")
end

local function record_json(fields, names)
  local properties, required = {}, {}
  for _, name in ipairs(names) do
    local f = fields[name]
    local json = {}
    for k, v in pairs(f.json or {}) do
      json[k] = v
    end
    json.description, json.default = f.doc_text, f.default_value
    properties[name] = json
    if not f.is_optional then
      required[#required + 1] = name
    end
  end
  return {
    type = "object", properties = properties, additionalProperties = false, required = required[1] and required or nil,
  }
end

local function check_record(self, v, path, context)
  if type(v) ~= "table" or v.__upstream then
    return fail(path, ("must be %s, got %s"):format(self.expect, show(v)))
  end
  local out, errors = {}, {}
  local prefix = path == "" and "" or path .. "."
  for key in pairs(v) do
    if not self.fields[key] then
      errors[#errors + 1] = { path = prefix .. tostring(key), message = unknown(self, key) }
    end
  end
  for _, name in ipairs(self.names) do
    out[name] = collect(errors, self.fields[name], v[name], prefix .. name, context)
  end
  table.sort(errors, function(a, b)
    return a.path < b.path
  end)
  return done(out, errors)
end

--- A table with these fields and no others.
---@param fields table<string, moongate.Type>
---@return moongate.Type
function M.record(fields)
  local names = {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  table.sort(names)
  local parts = {}
  for i, name in ipairs(names) do
    parts[i] = ("%s%s: %s"):format(name, fields[name].is_optional and "?" or "", fields[name].lua)
  end
  local lua = "{ " .. table.concat(parts, ", ") .. " }"
  local out = new("a table of options", lua, record_json(fields, names), check_record)
  out.fields, out.names = fields, names
  return out
end

--- Any type with a condition: `test(value)` returns true, or false and what is wrong.
---@param t moongate.Type
---@param test fun(value: any): boolean, string|nil
---@return moongate.Type
function M.where(t, test)
  local out = copy(t)
  out.run = function(self, v, path, context)
    local value, errors = t.run(self, v, path, context)
    if errors then
      return nil, errors
    end
    local ok, why = test(value)
    if not ok then
      return fail(path, why or "is not acceptable")
    end
    return value
  end
  return out
end

return M

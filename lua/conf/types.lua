--- The types of configuration options. A type says what it expects in words, checks a raw value and returns it in plain units,
--- and describes itself to JSON Schema and LuaLS. `c` is the checker (check.lua), `at` is { holder, key }: the raw table and the key
--- the value was found under, which is all that is needed to point at it.
local units = require "conf.units"

local M = {}

local Type = {}
Type.__index = Type

local function new(t)
  return setmetatable(t, Type)
end

--- The same type with something changed.
function Type:with(changes)
  local t = {}
  for k, v in pairs(self) do
    t[k] = v
  end
  for k, v in pairs(changes) do
    t[k] = v
  end
  return new(t)
end

--- Marks an option that `false` switches off.
function Type:off()
  return self:with { can_off = true }
end

--- Allows `true` as "on, with what is inherited or the defaults".
function Type:on()
  return self:with { can_off = true, can_on = true }
end

--- Lets a list of such values stand for one.
function Type:several()
  return self:with { can_many = true }
end

--- Lets a non-table value stand for a table: `to(v)` makes it.
function Type:short(accepts, to)
  return self:with { short_type = accepts, short_to = to }
end

--- The words for what is expected, with the switches.
function Type:words()
  local text = self.short_type and self.short_type:words() .. ", or " .. self.expect or self.expect
  text = self.can_many and text .. ", or a list of these" or text
  if self.can_on then
    return text .. ", true or false"
  elseif self.can_off then
    return text .. ", or false"
  end
  return text
end

--- Checks `v`; returns the plain value, or nil after having reported.
function Type:check(c, v, at)
  if v == false and self.can_off then
    return false
  elseif v == true and self.can_on then
    return c:typed({}, at.holder)
  elseif self.can_many and type(v) == "table" and #v > 0 and not c:is_decl(v) then
    return c:list(self, v, at)
  elseif self.short_type and (type(v) ~= "table" or c:is_decl(v)) then
    local value = self.short_type:check(c, v, at)
    return value ~= nil and self.short_to(value, c, at) or nil
  end
  return self.run(self, c, v, at)
end

local function scalar(expect, lua, json, f)
  return new {
    expect = expect, lua = lua, json = json,
    run = function(self, c, v, at)
      local value, hint = f(v)
      if value == nil then
        return c:bad(at, v, self:words(), hint)
      end
      return value
    end,
  }
end

local function is(kind)
  return function(v)
    return type(v) == kind and v or nil
  end
end

M.boolean = scalar("true or false", "boolean", { type = "boolean" }, function(v)
  if type(v) == "boolean" then
    return v
  end
  return nil
end)

M.string = scalar("a string", "string", { type = "string" }, is "string")
M.duration = scalar('a duration such as "5s"', "string", { type = "string", pattern = "^([0-9.]+(ms|s|m|h|d))+$" }, units.duration)
M.size = scalar('a size such as "16k"', "string", { type = "string", pattern = "^([0-9.]+[bkmgt])+$" }, units.size)

--- Boolean check must see `false` as a value, not as nothing.
M.boolean.run = function(self, c, v, at)
  if type(v) == "boolean" then
    return v
  end
  return c:bad(at, v, self:words())
end

--- Why the core would refuse `text`: `how` is its own function for it, "template" or "regex". nil when it is fine, or when there is no
--- core (specs of this folder).
---@param how string
---@param text string
---@param names table<string, boolean>|nil  variables that hold here only: a route's `:names`
---@return string|nil
function M.refusal(how, text, names)
  local ok, core = pcall(require, "moongate.core")
  if not ok or type(core) ~= "table" or not core[how] then
    return nil
  end
  if names then
    text = text:gsub("%$({?)([%w_]+)", function(brace, name)
      return names[name] and "$" .. brace .. "host" or nil
    end)
  end
  local made, err = core[how](text)
  return not made and (err or "is refused") or nil
end

--- A text with $variables, compiled by the core.
M.template = new {
  expect = "a string, $variables allowed", lua = "string", json = { type = "string" },
  run = function(self, c, v, at)
    if type(v) == "number" then
      v = tostring(v)
    elseif type(v) ~= "string" then
      return c:bad(at, v, self:words())
    end
    local err = M.refusal("template", v, c.names)
    if err then
      return c:report(at, err, { hint = require("conf.blame").hint(err) })
    end
    return v
  end,
}

---@param min integer
---@param max integer|nil
function M.integer(min, max)
  local expect = max and ("a whole number from %d to %d"):format(min, max) or ("a whole number, %d or more"):format(min)
  return scalar(expect, "integer", { type = "integer", minimum = min, maximum = max }, function(v)
    if type(v) == "number" and v == math.floor(v) and v >= min and v <= (max or math.huge) then
      return v
    elseif type(v) == "string" and v:match("^%d+$") then
      return nil, "write " .. v
    end
    return nil
  end)
end

--- One of some words.
function M.enum(...)
  local words, quoted, set = { ... }, {}, {}
  for i, word in ipairs(words) do
    quoted[i] = ('"%s"'):format(word)
    set[word] = true
  end
  return new {
    expect = "one of " .. table.concat(quoted, ", "), lua = table.concat(quoted, "|"), json = { enum = words },
    run = function(self, c, v, at)
      if type(v) == "string" and set[v] then
        return v
      end
      return c:bad(at, v, self:words(), type(v) == "string" and c:nearest_hint(v, words) or nil)
    end,
  }
end

--- A path, made absolute or relative to the working directory from the folder of the file it is written in.
M.path = new {
  expect = "a path", lua = "string", json = { type = "string" },
  run = function(self, c, v, at)
    if type(v) ~= "string" or v == "" then
      return c:bad(at, v, self:words())
    end
    return c:resolve(v, at.holder)
  end,
}

--- A list of `item`; with `lone` a single item may stand for a list of one.
function M.list(item, lone)
  local expect = "a list: " .. item.expect .. ", …"
  return new {
    expect = lone and item.expect .. " or " .. expect or expect, lua = item.lua .. "[]", item = item, is_list = true,
    json = { type = "array", items = item.json },
    run = function(self, c, v, at)
      if lone and (type(v) ~= "table" or c:is_decl(v)) then
        local value = item:check(c, v, at)
        return value ~= nil and { value } or nil
      elseif type(v) ~= "table" or c:is_decl(v) then
        return c:bad(at, v, self:words())
      end
      return c:list(item, v, at)
    end,
  }
end

--- A table from names of the user's choice to `item`.
function M.map(key, item, what)
  return new {
    expect = "a table " .. what, lua = ("table<%s, %s>"):format(key.lua, item.lua), key = key, item = item, is_map = true,
    json = { type = "object", additionalProperties = item.json },
    run = function(self, c, v, at)
      if type(v) ~= "table" or c:is_decl(v) then
        return c:bad(at, v, self:words())
      end
      return c:map(key, item, v, at)
    end,
  }
end

---@class conf.Field
---@field name string
---@field type table
---@field doc string
---@field scopes? string  letters of the declarations it may stand in (g, s, r); absent: wherever its record may

--- A table with known keys. `positional` is the type of its list part, if it may have one.
---@param fields conf.Field[]
---@param positional table|nil
function M.record(fields, positional)
  local by_name, names = {}, {}
  for _, f in ipairs(fields) do
    by_name[f.name] = f
    names[#names + 1] = f.name
  end
  table.sort(names)
  return new {
    expect = "a table { " .. (names[1] and names[1] .. " = … " or "") .. "}", lua = "table", fields = fields, by_name = by_name,
    names = names, positional = positional, is_record = true,
    run = function(self, c, v, at)
      if type(v) ~= "table" or c:is_decl(v) then
        return c:bad(at, v, self:words())
      end
      return c:record(self, v, at)
    end,
  }
end

--- A field of a record.
function M.field(name, kind, doc, scopes)
  return { name = name, type = kind, doc = doc, scopes = scopes }
end

--- A value with its own way of checking: `f(c, v, at, self)`.
function M.custom(expect, lua, json, f)
  return new {
    expect = expect, lua = lua, json = json,
    run = function(self, c, v, at)
      return f(c, v, at, self)
    end,
  }
end

--- Something that the design has and this build has not: always an error that says so.
function M.later(what)
  return new {
    expect = "nothing: it is not available yet", lua = "nil", json = false, later = true,
    run = function(_, c, _, at)
      c:report(at, ("%s is not available in this build"):format(what), { hint = "remove it" })
    end,
  }
end

return M

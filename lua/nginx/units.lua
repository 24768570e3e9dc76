--- Arguments of directives: numbers, times, sizes, switches. Each function can be a directive's `parse`: it takes the directive and
--- returns the value, or nil and what is wrong with it in nginx's words.
local M = {}

local times = { y = 31536000000, M = 2592000000, w = 604800000, d = 86400000, h = 3600000, m = 60000, s = 1000, ms = 1 }
local order = { y = 1, M = 2, w = 3, d = 4, h = 5, m = 6, s = 7, ms = 8 }
local TIME_MAX = 9e15

--- Milliseconds of "1h 30m", "10s", "250ms", "60" (seconds); nil: not a time.
---@param text string
---@return integer|nil
function M.ms(text)
  local total, last, at = 0, 0, 1
  if text == "" then
    return nil
  end
  while at <= #text do
    local digits, unit, after = text:match("^(%d+)(%a*) *()", at)
    if not digits then
      return nil
    end
    unit = unit == "" and "s" or unit
    local step = order[unit]
    if not step or step <= last then
      return nil
    end
    total, last, at = total + tonumber(digits) * times[unit], step, after
  end
  return total <= TIME_MAX and total or nil
end

local sizes = { [""] = 1, k = 1024, m = 1048576, g = 1073741824 }

--- Bytes of "16k", "1m", "1g", "512"; nil: not a size.
---@param text string
---@return integer|nil
function M.bytes(text)
  local digits, unit = text:match("^(%d+)(%a?)$")
  local factor = unit and sizes[unit:lower()]
  local n = factor and tonumber(digits) * factor
  return n and n <= 9e15 and n or nil
end

--- A whole number not below zero; nil: none.
---@param text string
---@return integer|nil
function M.integer(text)
  local n = text:match("^%d+$") and tonumber(text)
  return n and n <= 2147483647 and n or nil
end

function M.time(d)
  local v = M.ms(d.args[1])
  if not v then
    return nil, "invalid value"
  end
  return v
end

function M.size(d)
  local v = M.bytes(d.args[1])
  if not v then
    return nil, "invalid value"
  end
  return v
end

function M.number(d)
  local v = M.integer(d.args[1])
  if not v then
    return nil, "invalid number"
  end
  return v
end

function M.string(d)
  return d.args[1]
end

--- on or off, in any case.
function M.onoff(d)
  local word = d.args[1]:lower()
  if word ~= "on" and word ~= "off" then
    return nil, ('invalid value "%s" in "%s" directive, it must be "on" or "off"'):format(d.args[1], d.name)
  end
  return word == "on"
end

--- One of the words, in any case.
---@param words string[]
---@return fun(d: nginx.Node): string|nil, string|nil
function M.one_of(words)
  local known = {}
  for _, word in ipairs(words) do
    known[word] = true
  end
  return function(d)
    local word = d.args[1]:lower()
    if not known[word] then
      return nil, ('invalid value "%s"'):format(d.args[1])
    end
    return word
  end
end

--- An entry whose words add up when the directive is said again.
function M.joined(entry)
  entry.joins = true
  return entry
end

--- A set of the words; the value is { word = true }.
---@param words string[]
---@return fun(d: nginx.Node): table|nil, string|nil
function M.mask(words)
  local known = {}
  for _, word in ipairs(words) do
    known[word] = true
  end
  return function(d)
    local set = {}
    for _, arg in ipairs(d.args) do
      local word = arg:lower()
      if not known[word] then
        return nil, ('invalid value "%s"'):format(arg)
      end
      set[word] = true
    end
    return set
  end
end

--- Media types, where text/html is always one of them: those beside it; { "*" }: all.
---@return fun(d: nginx.Node, scope: nginx.Scope, c: table): string[]
function M.types()
  return function(d, _, c)
    local list, seen = {}, { ["text/html"] = true }
    for _, arg in ipairs(d.args) do
      local name = arg:lower()
      if name == "*" then
        return { "*" }
      elseif arg == "text/html" then
        c:warn(d, 'duplicate MIME type "text/html"')
      elseif not seen[name] then
        seen[name] = true
        list[#list + 1] = name
      end
    end
    return list
  end
end

--- "off", or "max=N [inactive=TIME] [valid=TIME]" and whatever else `more` takes: { max, inactive, valid }, false when off.
---@param more table<string, fun(text: string): any>|nil   parameters by name
---@return fun(d: nginx.Node): table|false|nil, string|nil
function M.file_cache(more)
  local takes = { max = M.integer, inactive = M.ms, valid = M.ms }
  for name, parse in pairs(more or {}) do
    takes[name] = parse
  end
  return function(d)
    if d.args[1] == "off" and #d.args == 1 then
      return false
    end
    local out = {}
    for _, arg in ipairs(d.args) do
      local name, text = arg:match("^(%w+_?%w*)=(.*)$")
      local v = takes[name] and takes[name](text)
      if not v or v == 0 and name == "max" then
        return nil, ('invalid parameter "%s"'):format(arg)
      end
      out[name] = v
    end
    if not out.max then
      return nil, ('"%s" must have the "max" parameter'):format(d.name)
    end
    return out
  end
end

--- Bytes a second: a size, or a text with variables that will be one.
function M.rate(d)
  local text = d.args[1]
  if not text:find("$", 1, true) and not M.bytes(text) then
    return nil, "invalid value"
  end
  return text
end

--- NUMBER SIZE, as in `proxy_buffers 8 4k`; the value is { count, size }.
function M.bufs(d)
  local count, size = M.integer(d.args[1]), M.bytes(d.args[2])
  if not count or count == 0 or not size or size == 0 then
    return nil, "invalid value"
  end
  return { count = count, size = size }
end

return M

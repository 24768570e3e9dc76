--- Durations and sizes as people write them: "5s", "250ms", "1h30m"; "16k", "1g". A bare number is refused with the text that
--- would have been right, because nobody remembers which option counts seconds and which milliseconds.
local M = {}

local MS = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000 }
local BYTES = { b = 1, k = 1024, m = 1024 ^ 2, g = 1024 ^ 3, t = 1024 ^ 4 }

--- Sums "1h30m" style texts; nil when something is not understood.
local function sum(text, units)
  local total, rest = 0, text:lower()
  if rest == "" then
    return nil
  end
  while rest ~= "" do
    local number, unit, tail = rest:match("^(%d+%.?%d*)(%a+)(.*)$")
    if not number or not units[unit] then
      return nil
    end
    total, rest = total + tonumber(number) * units[unit], tail
  end
  return math.floor(total + 0.5)
end

--- Milliseconds of "5s"; nil and a hint when `v` is not a duration.
---@param v any
---@return integer|nil, string|nil hint
function M.duration(v)
  if type(v) == "number" then
    return nil, ('write "%gs"'):format(v)
  elseif type(v) ~= "string" then
    return nil
  end
  local ms = sum(v, MS)
  if ms then
    return ms
  end
  if v:match("^%d+%.?%d*$") then
    return nil, ('write "%ss"'):format(v)
  end
  return nil, "units: ms, s, m, h, d"
end

--- Bytes of "16k"; nil and a hint when `v` is not a size.
---@param v any
---@return integer|nil, string|nil hint
function M.size(v)
  if type(v) == "number" then
    for _, unit in ipairs { "g", "m", "k" } do
      if v >= BYTES[unit] and v % BYTES[unit] == 0 then
        return nil, ('write "%d%s"'):format(v / BYTES[unit], unit)
      end
    end
    return nil, ('write "%gk" or "%gb"'):format(v, v)
  elseif type(v) ~= "string" then
    return nil
  end
  local bytes = sum(v, BYTES)
  if bytes then
    return bytes
  end
  if v:match("^%d+$") then
    return nil, ('write "%sk" or "%sb"'):format(v, v)
  end
  return nil, "units: b, k, m, g"
end

--- The shortest text of a duration, for manuals and exports.
---@param ms integer
---@return string
function M.show_duration(ms)
  for _, unit in ipairs { "d", "h", "m", "s" } do
    if ms >= MS[unit] and ms % MS[unit] == 0 then
      return ("%d%s"):format(ms / MS[unit], unit)
    end
  end
  return ("%dms"):format(ms)
end

--- The shortest text of a size.
---@param bytes integer
---@return string
function M.show_size(bytes)
  for _, unit in ipairs { "g", "m", "k" } do
    if bytes >= BYTES[unit] and bytes % BYTES[unit] == 0 then
      return ("%d%s"):format(bytes / BYTES[unit], unit)
    end
  end
  return ("%db"):format(bytes)
end

return M

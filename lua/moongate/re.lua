--- mg.re: regular expressions (PCRE2) with bounded matching. Patterns given as text are compiled once and kept.
---
---   local m = mg.re.match(req.path, [[^/u/(?<id>\d+)]])     -- m[0], m[1], m.id
---   local re = mg.re.compile("foo|bar", "i")                 -- re:test(s), re:match(s), re:find(s)
---   local s, n = mg.re.gsub(text, [[(\w+)@]], "$1 at ")
local core = require "moongate.core"

---@class moongate.Re
local M = {}

local MAX_KEPT = 1024
local kept, count = {}, 0

--- A compiled pattern; raises when it is bad. Flags: i caseless, s dot matches newline, m multiline, x extended,
--- u UTF-8, a anchored.
---@param pattern string
---@param flags string|nil
---@return moongate.Regex
function M.compile(pattern, flags)
  local re, err = core.regex(pattern, flags)
  if not re then
    error("mg.re: " .. err, 2)
  end
  return re
end

local function get(pattern, flags)
  if type(pattern) ~= "string" then
    return pattern
  end
  local key = flags and flags .. "/" .. pattern or pattern
  local re = kept[key]
  if not re then
    local err
    re, err = core.regex(pattern, flags)
    if not re then
      error("mg.re: " .. err, 3)
    end
    if count < MAX_KEPT then
      kept[key], count = re, count + 1
    end
  end
  return re
end

---@param text string
---@param pattern string|moongate.Regex
---@param flags string|nil
---@return boolean
function M.test(text, pattern, flags)
  return get(pattern, flags):test(text)
end

--- Captures ([0] the whole, 1..., by name too; unset ones are false), or nil.
---@return table|nil, string|nil
function M.match(text, pattern, flags, from)
  return get(pattern, flags):match(text, from)
end

--- First and last position of the match, and of each capture.
---@return integer|nil, integer|nil ...
function M.find(text, pattern, flags, from)
  return get(pattern, flags):find(text, from)
end

--- "$1", "${name}", "$0", "$$" in a replacement.
local function expander(replacement)
  if type(replacement) == "function" then
    return function(m)
      return tostring(replacement(m))
    end
  elseif not replacement:find("$", 1, true) then
    return function()
      return replacement
    end
  end
  return function(m)
    return (replacement:gsub("%$(%$?){?(%w*)}?", function(dollar, name)
      if dollar ~= "" then
        return "$" .. name
      end
      return m[tonumber(name) or name] or ""
    end))
  end
end

local function replace(text, pattern, replacement, flags, max)
  local re, expand = get(pattern, flags), expander(replacement)
  local out, at, n = {}, 1, 0
  while n < max and at <= #text + 1 do
    local from, to = re:find(text, at)
    if not from then
      if to then
        return nil, to
      end
      break
    end
    out[#out + 1] = text:sub(at, from - 1)
    out[#out + 1] = expand(re:match(text, at))
    n = n + 1
    if to < from then -- an empty match: one byte goes by, so that it ends
      out[#out + 1] = text:sub(from, from)
      to = from
    end
    at = to + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out), n
end

--- Replaces the first match: new text and how many were replaced; nil and why when matching failed.
---@param replacement string|fun(m: table): string
---@return string|nil, integer|string
function M.sub(text, pattern, replacement, flags)
  return replace(text, pattern, replacement, flags, 1)
end

--- Replaces all matches.
---@return string|nil, integer|string
function M.gsub(text, pattern, replacement, flags)
  return replace(text, pattern, replacement, flags, math.huge)
end

return M

--- Tokens of a Lua source text with their places. Just enough for positions.lua: it never judges the grammar (the Lua compiler
--- has done that before), so anything odd becomes a one-character operator token.
local M = {}

local byte, find, sub = string.byte, string.find, string.sub

local keywords = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return then true
until while]]):gmatch("%a+") do
  keywords[word] = true
end

--- End of the long bracket opening at `i` ("[[", "[==["), or nil when there is none.
local function long_bracket(src, i)
  local _, open_end, level = find(src, "^%[(=*)%[", i)
  if not open_end then
    return nil
  end
  local _, close_end = find(src, "]" .. level .. "]", open_end + 1, true)
  return close_end or #src
end

--- End of the quoted string that opens at `i`.
local function quoted(src, i)
  local quote = byte(src, i)
  local at = i + 1
  while at <= #src do
    local c = byte(src, at)
    if c == 92 then -- backslash: skips the escaped character
      at = at + 1
    elseif c == quote or c == 10 then
      return at
    end
    at = at + 1
  end
  return #src
end

--- End of the comment at `i` ("--" is known to be there).
local function comment(src, i)
  return long_bracket(src, i + 2) or (find(src, "\n", i, true) or #src + 1) - 1
end

--- Kind and end of the token at `i`.
local function token_at(src, i)
  local c = byte(src, i)
  local _, e = find(src, "^[%a_\128-\255][%w_\128-\255]*", i)
  if e then
    return keywords[sub(src, i, e)] and "keyword" or "name", e
  end
  _, e = find(src, "^0[xX][%x%.]+[%a]*", i)
  if not e then
    _, e = find(src, "^%.?%d[%w%.]*", i)
  end
  if e then
    local last = sub(src, e, e):lower()
    local _, exponent = find(src, "^[+-]%d+", e + 1)
    if last == "e" and exponent then
      e = exponent
    end
    return "number", e
  end
  if c == 34 or c == 39 then
    return "string", quoted(src, i)
  end
  e = c == 91 and long_bracket(src, i)
  if e then
    return "string", e
  end
  _, e = find(src, "^[=~<>]=", i)
  if not e then
    _, e = find(src, "^%.%.%.?", i)
  end
  return "op", e or i
end

--- Places of line starts: `starts[n]` is the byte where line n begins.
---@param src string
---@return integer[]
function M.line_starts(src)
  local starts, at = { 1 }, 1
  while true do
    local nl = find(src, "\n", at, true)
    if not nl then
      return starts
    end
    at = nl + 1
    starts[#starts + 1] = at
  end
end

---@class conf.Token
---@field kind "name"|"keyword"|"string"|"number"|"op"
---@field text string
---@field s integer    first byte
---@field e integer    last byte
---@field line integer
---@field col integer  in bytes, from 1

--- All tokens of `src`, comments and blanks left out.
---@param src string
---@return conf.Token[]
function M.tokens(src)
  local out, starts = {}, M.line_starts(src)
  local i, line = 1, 1
  if find(src, "^#", 1) then
    i = find(src, "\n", 1, true) or #src + 1
  end
  while true do
    i = find(src, "[^%s]", i)
    if not i then
      return out
    end
    if find(src, "^%-%-", i) then
      i = comment(src, i) + 1
    else
      while starts[line + 1] and starts[line + 1] <= i do
        line = line + 1
      end
      local kind, e = token_at(src, i)
      out[#out + 1] = { kind = kind, text = sub(src, i, e), s = i, e = e, line = line, col = i - starts[line] + 1 }
      i = e + 1
    end
  end
end

--- Value of a string token without escapes worth decoding; nil when it has some that matter.
---@param text string
---@return string|nil
function M.string_value(text)
  local level = text:match("^%[(=*)%[")
  if level then
    return (text:sub(#level + 3, -(#level + 3)):gsub("^\r?\n", ""))
  end
  local body = text:sub(2, -2)
  if not body:find("\\", 1, true) then
    return body
  end
  local f = loadstring("return " .. text)
  return f and f() or nil
end

return M

--- Words and delimiters of nginx syntax, one call at a time: what is a word, where a quote may end and what a backslash drops are as
--- nginx's reader has them, because people's files rely on the odd ends of it.
---
--- Two states: between words (spaces, comments, quotes and delimiters mean something) and inside one. "${" never opens a block.
local M = {}

local Lexer = {}
Lexer.__index = Lexer

local byte = string.byte
local TAB, LF, CR, SPACE, DQUOTE, HASH, DOLLAR, SQUOTE, CLOSING = 9, 10, 13, 32, 34, 35, 36, 39, 41
local SEMI, BACKSLASH, LBRACE, RBRACE = 59, 92, 123, 125
--- nginx reads through a buffer of this size, which bounds a word.
local WORD_MAX = 4095

---@class nginx.Token
---@field kind "word"|";"|"{"|"}"|"eof"
---@field text string|nil      of a word, escapes resolved
---@field quoted boolean|nil
---@field line integer
---@field col integer
---@field len integer          in the source

--- A lexer over `text`.
---@param text string
---@return table
function M.new(text)
  local self = setmetatable({ text = text, at = 1, line = 1, start = 1 }, Lexer)
  if text:sub(1, 3) == "\239\187\191" then
    self.at, self.start = 4, 4
  end
  return self
end

local function is_space(c)
  return c == SPACE or c == TAB or c == CR or c == LF
end

local escapes = { ['"'] = '"', ["'"] = "'", ["\\"] = "\\", t = "\t", r = "\r", n = "\n" }

local function unescape(raw)
  if not raw:find("\\", 1, true) then
    return raw
  end
  return (raw:gsub("\\(.)", function(c)
    return escapes[c]
  end))
end

function Lexer:newline()
  self.line = self.line + 1
  self.start = self.at + 1
end

--- Skips spaces and comments; false at the end of the text.
function Lexer:skip()
  local text, n = self.text, #self.text
  while self.at <= n do
    local c = byte(text, self.at)
    if c == HASH then
      self.at = text:find("\n", self.at, true) or n + 1
    elseif is_space(c) then
      if c == LF then
        self:newline()
      end
      self.at = self.at + 1
    else
      return true
    end
  end
  return false
end

function Lexer:token(kind, from)
  return { kind = kind, line = from.line, col = from.col, len = self.at - from.at }
end

function Lexer:mark()
  return { at = self.at, line = self.line, col = self.at - self.start + 1 }
end

--- A word in quotes; what follows the closing quote must be a space or a delimiter.
function Lexer:quoted(quote, from)
  local text, n = self.text, #self.text
  self.at = self.at + 1
  local first = self.at
  while self.at <= n do
    local c = byte(text, self.at)
    if c == BACKSLASH then
      if byte(text, self.at + 1) == LF then
        self.at = self.at + 1
        self:newline()
      end
      self.at = self.at + 1
    elseif c == LF then
      self:newline()
    elseif c == quote then
      local raw = text:sub(first, self.at - 1)
      self.at = self.at + 1
      local after = byte(text, self.at)
      if after and not is_space(after) and after ~= SEMI and after ~= LBRACE and after ~= CLOSING then
        return nil, ('unexpected "%s"'):format(string.char(after)), { line = self.line, col = self.at - self.start + 1 }
      end
      local t = self:token("word", from)
      t.text, t.quoted = unescape(raw), true
      t.len = self.line == from.line and t.len or 1
      return self:bounded(t, raw, quote)
    end
    self.at = self.at + 1
  end
  if n - first >= WORD_MAX then
    return nil, ('too long parameter, probably missing terminating "%s" character'):format(string.char(quote)), from
  end
  return nil, nil, from -- the end of the file inside quotes
end

function Lexer:bounded(t, raw, quote)
  if #raw <= WORD_MAX then
    return t
  elseif quote then
    return nil, ('too long parameter, probably missing terminating "%s" character'):format(string.char(quote)), t
  end
  return nil, ('too long parameter "%s..." started'):format(raw:sub(1, 10)), t
end

function Lexer:bare(from)
  local text, n, variable = self.text, #self.text, false
  while self.at <= n do
    local c = byte(text, self.at)
    if c == LBRACE and variable then
      variable = false
    elseif c == BACKSLASH then
      variable = false
      if byte(text, self.at + 1) == LF then
        self.at = self.at + 1
        self:newline()
      end
      self.at = self.at + 1
    elseif is_space(c) or c == SEMI or c == LBRACE then
      break
    else
      variable = c == DOLLAR
    end
    self.at = self.at + 1
  end
  self.at = math.min(self.at, n + 1)
  local raw = text:sub(from.at, self.at - 1)
  local t = self:token("word", from)
  t.text = unescape(raw)
  return self:bounded(t, raw)
end

local delimiters = { [SEMI] = ";", [LBRACE] = "{", [RBRACE] = "}" }

--- The next token; nil and a message with its place when the text is wrong. An unfinished quoted word gives nil without a message.
---@return nginx.Token|nil, string|nil message, table|nil at
function Lexer:next()
  if not self:skip() then
    return { kind = "eof", line = self.line, col = math.max(1, self.at - self.start + 1), len = 1 }
  end
  local from, c = self:mark(), byte(self.text, self.at)
  if delimiters[c] then
    self.at = self.at + 1
    return self:token(delimiters[c], from)
  elseif c == DQUOTE or c == SQUOTE then
    return self:quoted(c, from)
  end
  return self:bare(from)
end

--- The text of a block in another language up to its closing brace, which is passed over: braces in quotes, long brackets and comments
--- of Lua do not count. nil: it never ends.
---@return string|nil
function Lexer:foreign()
  local text, first, depth = self.text, self.at, 1
  while true do
    local at = text:find("[{}\"'%[%-\n]", self.at)
    if not at then
      return nil
    end
    self.at = at
    local c = text:sub(at, at)
    if c == "\n" then
      self:newline()
    elseif c == "{" then
      depth = depth + 1
    elseif c == "}" then
      depth = depth - 1
      if depth == 0 then
        self.at = at + 1
        return text:sub(first, at - 1)
      end
    else
      self.at = self:foreign_token(at, c) - 1
    end
    self.at = self.at + 1
  end
end

--- Where the string or comment that begins at `at` ends (the place after it); `at + 1` when it is none.
function Lexer:foreign_token(at, c)
  local text = self.text
  local stop
  if c == '"' or c == "'" then
    stop = at + 1
    while text:sub(stop, stop) ~= c and text:sub(stop, stop) ~= "\n" and stop <= #text do
      stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
    end
  else
    local level = text:match("^%-%-%[(=*)%[", at) or c == "[" and text:match("^%[(=*)%[", at)
    if level then
      local _, last = text:find("]" .. level .. "]", at, true)
      stop = last or #text
    elseif text:find("^%-%-", at) then
      return text:find("\n", at, true) or #text + 1
    else
      return at + 1
    end
  end
  for nl in text:sub(at, stop):gmatch("()\n") do
    self.line = self.line + 1
    self.start = at + nl
  end
  return stop + 1
end

return M

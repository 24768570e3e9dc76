--- From what the core says of a model to a place in the text. The core knows "FILE:LINE" of the declaration around; what it quotes
--- (a variable, a pattern, an address) is looked for from there on.
local diag = require "conf.diag"

local M = {}

local function line_starts(text)
  local starts = { 1 }
  for at in text:gmatch("\n()") do
    starts[#starts + 1] = at
  end
  return starts
end

local function place(file, text, at, len)
  local line = select(2, text:sub(1, at - 1):gsub("\n", "")) + 1
  return { file = file, line = line, col = at - line_starts(text)[line] + 1, len = len }
end

--- What a message quotes, the most telling first.
local function quoted(message)
  local out = {}
  for word in message:gmatch('"([^"\n]+)"') do
    out[#out + 1] = word
  end
  table.sort(out, function(a, b)
    return #a > #b
  end)
  local variable = message:match("variable (%$[%w_]+)")
  if variable then
    table.insert(out, 1, variable)
  end
  for name in message:gmatch("/([%w_-]+%.%a+)%f[^%w]") do -- of files
    out[#out + 1] = name
  end
  return out
end

--- In comments nothing is meant.
local function in_comment(text, at, mark)
  local start = at
  while start > 1 and text:byte(start - 1) ~= 10 do
    start = start - 1
  end
  return text:sub(start, at):find("^%s*" .. mark) ~= nil
end

local function find(text, word, from, mark)
  local at = text:find(word, from, true)
  while at and in_comment(text, at, mark) do
    at = text:find(word, at + 1, true)
  end
  return at
end

--- Place and message of `err`; nil: it names no file that was read.
---@param err string                     "FILE:LINE: message", or a message that stands for the whole of `main`
---@param sources table<string, string>  texts by the names shown
---@param main string                    the file that was asked for
---@return table|nil at, string message
function M.place(err, sources, main)
  local file, line, message = err:match("^(.-):(%d+): (.*)$")
  if not sources[file] then
    file, line, message = main, "1", err
  end
  local text = sources[file]
  if not text then
    return nil, err
  end
  local mark, from = file:find("%.conf$") and "#" or "%-%-", line_starts(text)[tonumber(line)] or 1
  for _, word in ipairs(quoted(message)) do
    local at = find(text, word, from, mark) or find(text, word, 1, mark)
    if at then
      return place(file, text, at, #word), message
    end
  end
  local first, last = text:find("[^%s{}]+", from)
  return place(file, text, first or from, first and last - first + 1 or 1), message
end

--- What to write instead, when it can be guessed.
---@param message string
---@return string|nil
function M.hint(message)
  local name = message:match("unknown variable %$([%w_]+)")
  local found, testing = pcall(require, "moongate.testing") -- not there under a plain LuaJIT
  local near = name and found and type(testing) == "table" and testing.variables and diag.nearest(name, testing.variables())
  return near and ("did you mean $%s?"):format(near) or nil
end

return M

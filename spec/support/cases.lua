--- Parser cases: Markdown files in which each "## " heading is a case with an input block and the log
--- of what the parser must make of it. The same files seed the fuzzers (spec/cases/seed.lua).
---
---   ## refuses a bare LF
---   options: method=HEAD drop        (optional; words or key=value)
---   ```http                          lines end in CRLF; a line that ends in "\" has no line end
---   GET / HTTP/1.1\n\                escapes: \r \n \t \0 \xNN \\
---   ```
---   ```log
---   error BAD_LINE_END
---   ```
--- A ```text block is one string without any line end.
local M = {}

local escapes = { r = "\r", n = "\n", t = "\t", ["0"] = "\0", ["\\"] = "\\" }

local function unescape(text)
  text = text:gsub("\\x(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end)
  return (text:gsub("\\(.)", function(c)
    return escapes[c] or error("bad escape \\" .. c)
  end))
end

local function decode(lines, kind)
  local out = {}
  for i, line in ipairs(lines) do
    local joined = line:match("^(.-)\\$")
    if joined and not joined:find("\\$") then
      out[i] = unescape(joined)
    else
      out[i] = unescape(line) .. (kind == "http" and "\r\n" or "")
    end
  end
  return table.concat(out)
end

local function parse_options(text)
  local options = {}
  for word in text:gmatch("%S+") do
    local key, value = word:match("^([^=]+)=(.*)$")
    options[key or word] = value and (tonumber(value) or value) or true
  end
  return options
end

local function finish_block(case, kind, lines)
  if kind == "log" then
    case.log = table.concat(lines, "\n")
  else
    case.input = decode(lines, kind)
  end
end

--- The cases of one file, in order.
---@param path string
---@return table[]  {title, input, log, options}
function M.read(path)
  local cases, case, kind, lines = {}, nil, nil, nil
  for line in io.lines(path) do
    if kind then
      if line == "```" then
        finish_block(case, kind, lines)
        kind = nil
      else
        lines[#lines + 1] = line
      end
    elseif line:find("^## ") then
      case = { title = line:sub(4), options = {} }
      cases[#cases + 1] = case
    elseif case and line:find("^options: ") then
      case.options = parse_options(line:sub(10))
    elseif case and line:find("^```%l+$") then
      kind, lines = line:sub(4), {}
    end
  end
  return cases
end

--- The Markdown files of a folder below spec/cases.
---@param folder string
---@return string[]
function M.files(folder)
  local files = {}
  local pipe = assert(io.popen("ls spec/cases/" .. folder .. "/*.md"))
  for path in pipe:lines() do
    files[#files + 1] = path
  end
  pipe:close()
  return files
end

--- Calls fn(case) in an `it` per case of a folder.
---@param folder string
---@param fn fun(case: table)
function M.each(folder, fn)
  local busted = require("busted")
  for _, path in ipairs(M.files(folder)) do
    for _, case in ipairs(M.read(path)) do
      busted.it(case.title, function()
        fn(case)
      end)
    end
  end
end

return M

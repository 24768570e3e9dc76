--- What the checks of `make lint` share: listing and reading files, reporting.
local M = {}

--- Files below folders, sorted; folders that do not exist are skipped.
---@param folders string  words for find
---@param pattern string  an argument of find's -regex (extended)
---@return string[]
function M.list(folders, pattern)
  local pipe = assert(io.popen(("find %s -regextype posix-extended -type f -regex '%s' 2>/dev/null | LC_ALL=C sort")
    :format(folders, pattern)))
  local files = {}
  for path in pipe:lines() do
    files[#files + 1] = path
  end
  pipe:close()
  return files
end

---@param path string
---@return string
function M.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

--- Lines of a text, without their ends.
---@param text string
---@return fun(): string?
function M.lines(text)
  if text:sub(-1) ~= "\n" then
    text = text .. "\n"
  end
  return text:gmatch("([^\n]*)\n")
end

--- C text with comments and literals blanked (line ends kept), so that braces and words can be counted.
---@param text string
---@return string
function M.blank(text)
  local out, at = {}, 1
  while true do
    local from, kind = text:match("()([/\"'])", at)
    if not from then
      break
    end
    out[#out + 1] = text:sub(at, from - 1)
    local rest = text:sub(from, from + 1)
    local stop
    if rest == "/*" then
      stop = select(2, text:find("*/", from + 2, true)) or #text
    elseif rest == "//" then
      stop = (text:find("\n", from, true) or #text + 1) - 1
    elseif kind == "/" then
      stop = nil
    else
      stop = from + 1
      while stop <= #text and text:sub(stop, stop) ~= kind do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
    end
    if stop then
      out[#out + 1] = (text:sub(from, stop):gsub("[^\n]", " "))
      at = stop + 1
    else
      out[#out + 1] = "/"
      at = from + 1
    end
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

--- Prints findings and ends the process: status 1 when there are any.
---@param name string  of the check
---@param findings string[]
---@param good string  what to say when there are none
function M.finish(name, findings, good)
  for _, finding in ipairs(findings) do
    io.stderr:write(finding, "\n")
  end
  if #findings > 0 then
    io.stderr:write(name, ": ", #findings, " finding(s)\n")
    os.exit(1)
  end
  print(("%-11s ok, %s"):format(name, good))
end

return M

--- Tabs, trailing blanks, CR, missing or doubled end of file. Raw protocol samples are exempt.
package.path = "tools/?.lua;" .. package.path
local files = require("files")

local findings = {}

local function complain(path, line, what)
  findings[#findings + 1] = ("%s:%d: %s"):format(path, line, what)
end

local function check(path)
  local text = files.read(path)
  local line = 0
  local tabs_fine = path:find("Makefile$")
  for content in files.lines(text) do
    line = line + 1
    if content:find("[ \t]$") then
      complain(path, line, "trailing blank")
    elseif content:find("\r", 1, true) then
      complain(path, line, "carriage return")
    elseif content:find("\t", 1, true) and not tabs_fine then
      complain(path, line, "tab")
    end
  end
  if text ~= "" and text:sub(-1) ~= "\n" then
    complain(path, line, "no newline at the end")
  elseif text:sub(-2) == "\n\n" then
    complain(path, line, "empty line at the end")
  end
end

local places = "core lua scripts spec tools examples fuzz bench docs .ci $(ls *.md Makefile .busted .luacheckrc 2>/dev/null)"
local count = 0
for _, path in ipairs(files.list(places, ".*(\\.(c|h|def|lua|sh|md|json|py|js|mjs)|Makefile|/run|rc|\\.busted)")) do
  if not path:find("/node_modules/") and not path:find("/corpus/") and not path:find("^spec/cases/") then
    count = count + 1
    check(path)
  end
end
files.finish("whitespace", findings, count .. " files")

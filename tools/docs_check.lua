--- A page that names a source file in `code` quotes: the file must exist. Names count when they have a
--- folder and an extension of ours, e.g. `core/flow/steps.c`, `flow/steps.[ch]`, `lua/moongate/schema.lua`.
package.path = "tools/?.lua;" .. package.path
local files = require("files")

local findings = {}

local function exists(path)
  local file = io.open(path, "rb")
  if file then
    file:close()
  end
  return file ~= nil
end

--- The names that a text like `net/stream.[ch]` stands for.
local function expand(name)
  local stem, set = name:match("^(.*)%.%[(%a+)%]$")
  if not stem then
    return { name }
  end
  local names = {}
  for letter in set:gmatch("%a") do
    names[#names + 1] = stem .. "." .. letter
  end
  return names
end

local function is_source(name)
  return name:find("^[%w_][%w_./%-]*/[%w_.%-]+$") and (name:find("%.[ch]$") or name:find("%.lua$")
    or name:find("%.def$") or name:find("%.sh$"))
end

local function check_name(page, line, quoted)
  for _, name in ipairs(expand(quoted)) do
    if is_source(name) and not exists(name) and not exists("core/" .. name) and not exists("lua/" .. name)
      and not exists(page:match("^(.*/)[^/]*$") and page:match("^(.*/)[^/]*$") .. name or name) then
      findings[#findings + 1] = ("%s:%d: %s does not exist"):format(page, line, name)
    end
  end
end

local pages = files.list("docs bench fuzz examples scripts spec $(ls *.md 2>/dev/null)", ".*\\.md")
for _, page in ipairs(pages) do
  local line, fenced = 0, false
  for text in files.lines(files.read(page)) do
    line = line + 1
    if text:find("^%s*```") then
      fenced = not fenced
    elseif not fenced and not page:find("^spec/cases/") and not page:find("CHANGELOG") then
      for quoted in text:gmatch("`([^`]+)`") do
        local name = quoted:match("^([%w_./%-]+%.%[%a+%])$") or quoted:match("^([^:#%s]+)")
        if name then
          check_name(page, line, name)
        end
      end
    end
  end
end
files.finish("docs-check", findings, #pages .. " pages")

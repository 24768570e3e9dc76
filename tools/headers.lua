--- Each header of core/ compiles alone: nobody depends on what was included before it.
---   CC=gcc luajit tools/headers.lua CPPFLAGS...
--- All headers go to one compiler run per group, each as a translation unit of its own.
package.path = "tools/?.lua;" .. package.path
local files = require("files")

local flags = {}
for i, flag in ipairs(arg) do
  flags[i] = "'" .. flag:gsub("'", "'\\''") .. "'"
end
local compiler = os.getenv("CC") or "gcc"
if compiler == "" then
  compiler = "gcc"
end

local dir = os.tmpname()
os.remove(dir)
assert(os.execute("mkdir " .. dir) == 0)

-- Parts of a header that it includes itself, made from an X-list, say so in their name.
local headers = {}
for _, path in ipairs(files.list("core", ".*\\.h")) do
  if not path:find("_gen%.h$") then
    headers[#headers + 1] = path
  end
end
local units = {}
for i, header in ipairs(headers) do
  local path = ("%s/%d.c"):format(dir, i)
  local file = assert(io.open(path, "w"))
  local name = header:gsub("^core/", "")
  -- Twice: include guards work.
  file:write(('#include "%s"\n#include "%s"\ntypedef int headers_compile_alone;\n'):format(name, name))
  file:close()
  units[#units + 1] = path
end

local status = 0
if #units > 0 then
  status = os.execute(("%s -std=c11 -fsyntax-only -Wall -Wextra -Wno-unused-function %s %s"):format(compiler,
    table.concat(flags, " "), table.concat(units, " ")))
end
os.execute("rm -rf " .. dir)
if status ~= 0 then
  io.stderr:write("headers: some do not compile alone\n")
  os.exit(1)
end
print(("%-11s ok, %d compile alone"):format("headers", #units))

--- Puts the tables that come on standard input into a page, from its first line that begins like them to the end: `make docs`.
local path = arg[1]
local tables = io.read("*a")
local first = tables:match("^[^\n]*\n")
local f = assert(io.open(path, "rb"))
local page = f:read("*a")
f:close()
local at = assert(page:find("\n" .. first, 1, true), path .. " has no line " .. first)
f = assert(io.open(path, "wb"))
f:write(page:sub(1, at), tables)
f:close()

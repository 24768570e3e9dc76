--- Size limits of files and functions (STYLE: file 1000 lines, C function 80 unless it carries the
--- comment "table: …", Lua function 40), and with --table the tree as a Markdown table.
---   luajit tools/metrics.lua [--table]
package.path = "tools/?.lua;" .. package.path
local files = require("files")

local max_file, max_c, max_lua = 1000, 80, 40
local folders = "core lua scripts spec tools examples fuzz bench"

local findings = {}
local groups, order = {}, {}

local function complain(...)
  findings[#findings + 1] = table.concat({ ... })
end

local function group_of(path)
  local top, sub = path:match("^([^/]+)/([^/]+)/")
  local name = (top == "core" or top == "lua" or top == "spec") and sub and top .. "/" .. sub
    or path:match("^[^/]+")
  if not groups[name] then
    groups[name] = { files = 0, lines = 0, lengths = {} }
    order[#order + 1] = name
  end
  return groups[name]
end

--- Calls found(name, line, length, text) for each function of C text. Linux braces: a function's body
--- begins with "{" alone in the first column and ends with "}" there.
local function c_functions(text, found)
  local blanked, line, start, name, original = files.blank(text), 0, nil, nil, {}
  local lines = {}
  for raw in files.lines(text) do
    lines[#lines + 1] = raw
  end
  for code in files.lines(blanked) do
    line = line + 1
    original[line] = code
    if code:find("^{") then
      start = line
      name = nil
      for back = line - 1, math.max(1, line - 8), -1 do
        local candidate = original[back]:match("^%w") and original[back]:match("([%w_]+)%s*%(")
        if candidate then
          name = candidate
          break
        elseif original[back]:find("^[}#]") or original[back]:find(";%s*$") then
          break
        end
      end
    elseif code:find("^}") and start then
      if name then
        found(name, start, line - start + 1, table.concat(lines, "\n", math.max(1, start - 6), line))
      end
      start = nil
    end
  end
end

local openers = { ["function"] = true, ["do"] = true, ["then"] = true, ["repeat"] = true }

--- Lua text with comments and strings blanked.
local function blank_lua(text)
  local out, at = {}, 1
  while at <= #text do
    local from, to = text:find("%-%-%[(=*)%[", at)
    local plain = text:find("[%-%[\"']", at)
    if not plain then
      break
    end
    out[#out + 1] = text:sub(at, plain - 1)
    local rest = text:sub(plain, plain + 1)
    local stop = plain
    local level = text:match("^%[(=*)%[", plain)
    if from == plain then
      local equals = text:match("^%-%-%[(=*)%[", plain)
      stop = select(2, text:find("]" .. equals .. "]", to + 1, true)) or #text
    elseif rest == "--" then
      stop = (text:find("\n", plain, true) or #text + 1) - 1
    elseif level then
      stop = select(2, text:find("]" .. level .. "]", plain, true)) or #text
    elseif rest:find("^[\"']") then
      local quote = rest:sub(1, 1)
      stop = plain + 1
      while stop <= #text and text:sub(stop, stop) ~= quote do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
    end
    local chunk = text:sub(plain, stop)
    out[#out + 1] = stop > plain and chunk:gsub("[^\n]", " ") or chunk
    at = stop + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

--- Calls found(name, line, length) for each Lua function that is not inside another one.
--- Functions given to another function (busted's describe, it) are not counted: they are blocks.
local function lua_functions(text, found)
  local stack, line = {}, 0
  for code in files.lines(blank_lua(text)) do
    line = line + 1
    for before, word in code:gmatch("()%f[%w_]([%a_][%w_]*)") do
      if openers[word] then
        local argument = word == "function" and code:sub(1, before - 1):find("[%(,]%s*$")
        stack[#stack + 1] = { word = word, line = line, argument = argument,
          name = word == "function" and code:match("function%s+([%w_.:]+)", before)
            or code:match("([%w_.]+)%s*=%s*function") }
      elseif word == "elseif" or word == "until" or word == "end" then
        local top = table.remove(stack)
        if word == "end" and top and top.word == "function" and not top.argument then
          found(top.name or "?", top.line, line - top.line + 1)
        end
      end
    end
  end
end

local function measure(path)
  local text = files.read(path)
  local group = group_of(path)
  local lines = select(2, text:gsub("\n", "\n"))
  group.files, group.lines = group.files + 1, group.lines + lines
  if lines > max_file then
    complain(path, ": ", lines, " lines, at most ", max_file)
  end
  local is_lua = path:find("%.lua$")
  local limit = is_lua and max_lua or max_c
  local function found(name, line, length, body)
    group.lengths[#group.lengths + 1] = length
    if length > limit and not (body and body:find("/* table:", 1, true)) then
      complain(path, ":", line, ": ", name, " has ", length, " lines, at most ", limit)
    end
  end
  if is_lua then
    lua_functions(text, found)
  else
    c_functions(text, found)
  end
end

for _, path in ipairs(files.list(folders, ".*\\.(c|h|def|lua)")) do
  if not path:find("/node_modules/") and not path:find("/corpus/") then
    measure(path)
  end
end

local function at(sorted, share)
  return sorted[math.max(1, math.ceil(#sorted * share))] or 0
end

local function row(name, group)
  table.sort(group.lengths)
  return ("| %s | %d | %d | %d | %d | %d | %d |"):format(name, group.files, group.lines, #group.lengths,
    at(group.lengths, 0.5), at(group.lengths, 0.9), at(group.lengths, 1))
end

local function print_table()
  local total = { files = 0, lines = 0, lengths = {} }
  print("| folder | files | lines | functions | median | p90 | longest |")
  print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
  for _, name in ipairs(order) do
    local group = groups[name]
    print(row(name, group))
    total.files, total.lines = total.files + group.files, total.lines + group.lines
    for _, length in ipairs(group.lengths) do
      total.lengths[#total.lengths + 1] = length
    end
  end
  print(row("all", total))
end

if arg[1] == "--table" then
  print_table()
else
  local count, lines = 0, 0
  for _, group in pairs(groups) do
    count, lines = count + group.files, lines + group.lines
  end
  files.finish("metrics", findings, ("%d files, %d lines"):format(count, lines))
end

--- The table of directives in docs/nginx-directives.md, from the entries of lua/nginx/directives and the names that nginx has beside
--- them (nginx/known.lua).
local known = require "nginx.known"

local M = {}

--- Kinds of blocks with a context of their own name.
local order = { "main", "events", "http", "server", "location", "server_if", "if", "limit_except", "upstream" }
local shown = { server_if = "if in server", ["if"] = "if in location" }

--- Entries by name: { contexts = set, noop = in all of them }.
local function entries()
  local all = {}
  for _, module in ipairs(require "nginx.directives") do
    for name, spec in pairs(module.directives) do
      local e = all[name] or { contexts = {}, noop = true }
      all[name] = e
      e.noop = e.noop and (spec.noop or spec.effect == false) and true or false
      for word in spec.where:gmatch("%S+") do
        e.contexts[word] = true
      end
    end
  end
  all.include = { contexts = { any = true } } -- the parser's own
  return all
end

local function contexts_of(e)
  if e.contexts.any then
    return "everywhere"
  end
  local out = {}
  for _, word in ipairs(order) do
    if e.contexts[word] then
      out[#out + 1] = shown[word] or word
    end
  end
  return table.concat(out, ", ")
end

local function sorted(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function quoted(names)
  for i, name in ipairs(names) do
    names[i] = ("`%s`"):format(name)
  end
  return table.concat(names, ", ")
end

local head = [[
# Directives of nginx

Written by `moongate schema --nginx`; `make docs` writes it anew. `moongate check FILE.conf` notes what has no effect and refuses what is
not supported, each with its place in the file.

## Supported

| directive | where |
| --- | --- |
]]

local noop_head = [[

## Known, without effect

Accepted in their places, so that a file that has them runs: what they tune does not exist here, or needs no tuning.

| directive | where |
| --- | --- |
]]

local missing_head = [[

## Not supported

What nginx's own http modules have beside these, by module. Such a directive is `unknown directive` with a hint that names the module.

| module | directives |
| --- | --- |
]]

--- Modules whose directives this build lacks: { { module, names } }.
local function missing(all)
  local out = {}
  for _, module in ipairs(sorted(known)) do
    local names = {}
    for _, name in ipairs(known[module]) do
      if not all[name] then
        names[#names + 1] = name
      end
    end
    if names[1] then
      out[#out + 1] = { module, names }
    end
  end
  return out
end

--- The page docs/nginx-directives.md.
---@return string
function M.markdown()
  local all = entries()
  local rows, noops, out = {}, {}, {}
  for _, name in ipairs(sorted(all)) do
    local e = all[name]
    table.insert(e.noop and noops or rows, ("| `%s` | %s |"):format(name, contexts_of(e)))
  end
  for _, item in ipairs(missing(all)) do
    out[#out + 1] = ("| %s | %s |"):format(item[1], quoted(item[2]))
  end
  return head .. table.concat(rows, "\n") .. "\n" .. noop_head .. table.concat(noops, "\n") .. "\n" .. missing_head
    .. table.concat(out, "\n") .. "\n"
end

--- The module of nginx that has the directive; nil: none.
---@param name string
---@return string|nil
function M.module_of(name)
  for _, module in ipairs(sorted(known)) do
    for _, candidate in ipairs(known[module]) do
      if candidate == name then
        return module
      end
    end
  end
  return nil
end

return M

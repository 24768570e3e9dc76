--- Where things stand in a configuration file. A table constructor leaves no trace of its place at run time, so `scan` finds
--- every constructor in the source, remembers the places of its keys and values, and returns the source with each constructor
--- wrapped in a call that ties the table it makes to that record:
---
---   route "/x" { proxy = a }    becomes    route "/x"(MARK(7,{ proxy = a }))
---
--- Nothing moves to another line, so line numbers of errors stay true. Constructors inside function literals that are
--- themselves inside a constructor are hooks: they are left alone and cost nothing when they run.
local lexer = require "conf.lexer"

local M = {}

--- Name of the marking function in the chunk's environment.
M.MARK = "__mark"

---@class conf.Place
---@field line integer
---@field col integer
---@field len integer

---@class conf.TableInfo
---@field at conf.Place                   the brace
---@field keys table<any, conf.Place>
---@field values table<any, conf.Place>
---@field head? conf.Place                the declaration word before it (`route` of `route "/x" {`)
---@field arg? conf.Place                 its argument
---@field twice? {key: any, at: conf.Place, first: integer}[]

local Scan = {}
Scan.__index = Scan

local function place(first, last)
  local len = (last and last.line == first.line and last.e or first.e) - first.s + 1
  if first.text:find("\n", 1, true) then
    len = first.text:find("\n", 1, true) - 1
  end
  return { line = first.line, col = first.col, len = math.max(len, 1) }
end

function Scan:insert(at, text)
  self.edits[#self.edits + 1] = { at = at, text = text, n = #self.edits }
end

--- Index of the token that ends the function literal whose `function` is at `i`.
function Scan:skip_function(i)
  local depth, toks = 0, self.toks
  while toks[i] do
    local text = toks[i].kind == "keyword" and toks[i].text
    if text == "function" or text == "if" or text == "do" or text == "repeat" then
      depth = depth + 1
    elseif text == "end" or text == "until" then
      depth = depth - 1
      if depth == 0 then
        return i
      end
    end
    i = i + 1
  end
  return i
end

--- The place of the word and the argument of the call that the constructor at token `i` belongs to.
function Scan:find_head(i)
  local toks, p = self.toks, i - 1
  local prev = toks[p]
  if not prev or prev.kind == "keyword" or prev.kind == "number" then
    return nil
  end
  if prev.kind == "name" then
    return place(prev), nil
  elseif prev.kind == "string" then
    local word = toks[p - 1]
    return place(word and word.kind == "name" and word or prev), place(prev)
  elseif prev.text == ")" or prev.text == "}" then
    local open = self.open[p]
    local word = open and toks[open - 1]
    if word and word.kind == "name" then
      return place(word), open + 1 < p and place(toks[open + 1], toks[p - 1]) or nil
    end
    return place(prev), nil
  elseif prev.text == "]" then
    return place(prev), nil
  end
  return nil
end

--- Reads one key at token `i`: returns the key (nil: dynamic), the index of the value's first token, and whether it is positional.
function Scan:read_key(i, item)
  local toks = self.toks
  local t, n = toks[i], toks[i + 1]
  if t.kind == "name" and n and n.text == "=" then
    return t.text, i + 2, place(t)
  elseif t.text == "[" and t.kind == "op" then
    local close, depth = i, 0
    repeat
      local text = toks[close].kind ~= "string" and toks[close].text
      depth = depth + (text == "[" and 1 or text == "]" and -1 or 0)
      close = close + 1
    until depth == 0 or not toks[close]
    if toks[close] and toks[close].text == "=" then
      local key
      if close == i + 3 then
        key = n.kind == "string" and lexer.string_value(n.text) or n.kind == "number" and tonumber(n.text) or nil
      end
      return key, close + 1, place(t, toks[close - 1])
    end
  end
  return item, i, nil
end

--- Walks a value from token `i`; returns the index of the token after it.
function Scan:value(i, in_table)
  local toks, depth = self.toks, 0
  while toks[i] do
    local t = toks[i]
    local text = (t.kind == "op" or t.kind == "keyword") and t.text
    if depth == 0 and (text == "," or text == ";" or text == "}") then
      return i
    elseif text == "{" then
      i = self:constructor(i)
    elseif text == "function" and in_table then
      i = self:skip_function(i)
    elseif text == "(" or text == "[" then
      depth = depth + 1
    elseif text == ")" or text == "]" then
      depth = depth - 1
    end
    i = i + 1
  end
  return i
end

function Scan:note_key(info, key, at)
  if key == nil then
    return
  end
  if info.keys[key] then
    info.twice = info.twice or {}
    table.insert(info.twice, { key = key, at = at, first = info.keys[key].line })
  end
  info.keys[key] = at
end

--- The constructor whose brace is token `i`; returns the index of its closing brace.
function Scan:constructor(i)
  local toks, id = self.toks, #self.tables + 1
  local info = { at = place(toks[i]), keys = {}, values = {} }
  self.tables[id] = info
  local call = self:find_head(i)
  info.head, info.arg = self:find_head(i)
  if call then
    self:insert(toks[i - 1].e + 1, "(")
  end
  self:insert(toks[i].s, ("%s(%d,"):format(M.MARK, id))
  local at, item = i + 1, 1
  while toks[at] and toks[at].text ~= "}" do
    local key, first, key_place = self:read_key(at, item)
    local after = self:value(first, true)
    local span = toks[first] and place(toks[first], toks[math.max(after - 1, first)])
    if not key_place then
      item = item + 1
    end
    self:note_key(info, key, key_place or span)
    if key ~= nil then
      info.values[key] = span
    end
    at = after
    if toks[at] and toks[at].text ~= "}" then
      at = at + 1
    end
  end
  if toks[at] then
    info.close = toks[at].line
    self:insert(toks[at].e + 1, call and "))" or ")")
  end
  return at
end

--- For every closing bracket the index of the opening one.
local function pair_brackets(toks)
  local open, stack = {}, {}
  for i, t in ipairs(toks) do
    if t.kind == "op" then
      if t.text == "(" or t.text == "{" or t.text == "[" then
        stack[#stack + 1] = i
      elseif t.text == ")" or t.text == "}" or t.text == "]" then
        open[i] = table.remove(stack)
      end
    end
  end
  return open
end

local function apply(src, edits)
  table.sort(edits, function(a, b)
    if a.at ~= b.at then
      return a.at < b.at
    end
    return a.n < b.n
  end)
  local out, at = {}, 1
  for _, e in ipairs(edits) do
    out[#out + 1] = src:sub(at, e.at - 1)
    out[#out + 1] = e.text
    at = e.at
  end
  out[#out + 1] = src:sub(at)
  return table.concat(out)
end

--- Names of all locals, for "did you mean".
local function locals_of(toks)
  local names = {}
  for i, t in ipairs(toks) do
    if t.kind == "keyword" and t.text == "local" then
      local k = i + 1
      while toks[k] and toks[k].kind == "name" do
        names[toks[k].text] = true
        k = toks[k + 1] and toks[k + 1].text == "," and k + 2 or math.huge
      end
    end
  end
  return names
end

--- Scans a source text that compiles.
---@param src string
---@return { text: string, tables: conf.TableInfo[], tokens: conf.Token[], locals: table<string, true> }
function M.scan(src)
  local toks = lexer.tokens(src)
  local self = setmetatable({ toks = toks, open = pair_brackets(toks), tables = {}, edits = {} }, Scan)
  local i = 1
  while toks[i] do
    if toks[i].kind == "op" and toks[i].text == "{" then
      i = self:constructor(i)
    end
    i = i + 1
  end
  return { text = apply(src, self.edits), tables = self.tables, tokens = toks, locals = locals_of(toks) }
end

--- Index of the first token that is not before `line` (tokens are in order).
local function first_of_line(tokens, line)
  local lo, hi = 1, #tokens + 1
  while lo < hi do
    local mid = math.floor((lo + hi) / 2)
    if tokens[mid].line < line then
      lo = mid + 1
    else
      hi = mid
    end
  end
  return lo
end

--- The place of the token `name` on `line`, for errors that know only their line.
---@param tokens conf.Token[]
---@param line integer
---@param name string|nil
---@return conf.Place
function M.find_on_line(tokens, line, name)
  local i = first_of_line(tokens, line)
  local first = tokens[i]
  if not first or first.line ~= line then
    return { line = line, col = 1, len = 1 }
  end
  while name and tokens[i] and tokens[i].line == line do
    if tokens[i].text == name then
      return place(tokens[i])
    end
    i = i + 1
  end
  return place(first)
end

return M

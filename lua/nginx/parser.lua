--- From words to directives: { name, args, file, line, col, len, args_at, block }. `include` is resolved here, so that it works in every
--- block, those with lines of their own (map, types) as well. Nothing is known of single directives but that those named
--- "..._by_lua_block" hold Lua.
local lexer = require "nginx.lexer"
local include = require "nginx.include"

local M = {}

local Parser = {}
Parser.__index = Parser

---@class nginx.Node
---@field name string
---@field args string[]
---@field file string
---@field line integer
---@field col integer
---@field len integer
---@field args_at table[]       place of each argument
---@field quoted boolean[]      arguments that stood in quotes
---@field block nginx.Node[]|nil
---@field text string|nil       of a block in Lua

--- Blocks in one another further than this are a mistake; and we call ourselves for each.
local BLOCKS_MAX = 100

local stop = {}

--- Reports and unwinds: what follows a syntax error cannot be understood.
function Parser:fail(at, message)
  self.report(at, message)
  self.broken = true
  error(stop, 0)
end

function Parser:next()
  local t, message, at = self.lex:next()
  if t then
    t.file = self.file
    return t
  end
  if not message then
    message = 'unexpected end of file, expecting ";" or "}"'
    at = { line = self.lex.line, col = 1 }
  end
  return self:fail({ file = self.file, line = at.line, col = at.col, len = at.len }, message)
end

function Parser:read_file(path, at)
  local bytes, err = self.read(path)
  if not bytes then
    self:fail(at, ('open() "%s" failed (%s)'):format(path, err))
  end
  return bytes
end

--- Puts the directives of the files that `d` names in place of it.
function Parser:include(d, out)
  if #d.args ~= 1 then
    self:fail(d, 'invalid number of arguments in "include" directive')
  elseif self.depth >= include.DEPTH_MAX then
    self:fail(d, ('too many files include one another: "%s"'):format(d.args[1]))
  end
  for _, path in ipairs(include.files(d.args[1], self.folder, self.glob)) do
    local text = self:read_file(path, d)
    local outer = { self.lex, self.file }
    self.depth = self.depth + 1
    self:file_into(path, text, out)
    self.depth = self.depth - 1
    self.lex, self.file = outer[1], outer[2]
  end
end

function Parser:foreign(d)
  d.text = self.lex:foreign()
  if not d.text then
    self:fail({ file = self.file, line = self.lex.line, col = 1 }, 'unexpected end of file, expecting "}"')
  end
  d.block = {}
end

--- Arguments up to the delimiter; returns it.
function Parser:arguments(d)
  while true do
    local t = self:next()
    if t.kind == "word" then
      local n = #d.args + 1
      d.args[n], d.args_at[n], d.quoted[n] = t.text, t, t.quoted or false
    elseif t.kind == "eof" then
      self:fail(t, self.inline and 'unexpected end of parameter, expecting ";"' or 'unexpected end of file, expecting ";" or "}"')
    elseif t.kind == "}" then
      self:fail(t, 'unexpected "}"')
    else
      return t
    end
  end
end

function Parser:block(d, out)
  if self.blocks >= BLOCKS_MAX then
    self:fail(d, ('too many blocks in one another: "%s"'):format(d.name))
  end
  d.block = {}
  out[#out + 1] = d
  self.blocks = self.blocks + 1
  self:directives(d.block, d)
  self.blocks = self.blocks - 1
end

function Parser:directive(first, out)
  local d = {
    name = first.text, args = {}, args_at = {}, quoted = {}, file = self.file, line = first.line, col = first.col, len = first.len,
  }
  local t = self:arguments(d)
  if t.kind == "{" then
    if self.inline then
      self:fail(t, "block directives are not supported in -g option")
    elseif d.name:find("_by_lua_block$") then
      self:foreign(d)
    else
      return self:block(d, out)
    end
  elseif d.name == "include" then
    return self:include(d, out)
  end
  out[#out + 1] = d
end

--- Directives until the block `inside` (nil: the file) ends.
function Parser:directives(out, inside)
  while true do
    local t = self:next()
    if t.kind == "word" then
      self:directive(t, out)
    elseif t.kind == "eof" then
      if inside then
        self:fail(t, 'unexpected end of file, expecting "}"')
      end
      return
    elseif t.kind == "}" then
      if inside then
        return
      end
      self:fail(t, 'unexpected "}"')
    else
      self:fail(t, ('unexpected "%s"'):format(t.kind))
    end
  end
end

function Parser:file_into(path, text, out)
  self.source(path, text)
  self.lex, self.file = lexer.new(text), path
  self:directives(out, nil)
end

---@class nginx.ParseOptions
---@field report fun(at: table, message: string)
---@field source fun(file: string, text: string)   makes a text known for excerpts
---@field read fun(path: string): string|nil, string|nil
---@field glob fun(pattern: string): string[]
---@field folder string         where relative names of `include` begin
---@field inline boolean|nil    text of -g

--- Parses `text`, shown as `file`. After an error what stands before it comes back.
---@param opts nginx.ParseOptions
---@param file string
---@param text string
---@return nginx.Node[] nodes, boolean complete
function M.parse(opts, file, text)
  local self = setmetatable({
    report = opts.report, source = opts.source, read = opts.read, glob = opts.glob, folder = opts.folder, inline = opts.inline,
    depth = 0, blocks = 0,
  }, Parser)
  local out = {}
  local ok, err = pcall(self.file_into, self, file, text, out)
  if not ok and err ~= stop then
    error(err, 0)
  end
  return out, ok
end

return M

--- The native dialect, first half: evaluates a file and collects its declarations as raw tables with their places. Nothing is
--- judged here but what cannot be judged later (an unknown name, a global assignment, a declaration left without its table);
--- check.lua does the rest once everything is known, so that all errors come at once.
local positions = require "conf.positions"
local sandbox = require "conf.sandbox"
local diag = require "conf.diag"

local M = {}

local Loader = {}
Loader.__index = Loader

---@class conf.Decl
---@field kind "gateway"|"upstream"|"cache"|"site"|"route"|"policy"
---@field name any        the argument: a name, a pattern, a list of hosts
---@field body table|nil  the options as written
---@field at table        place of the declaration word
---@field arg table       place of the argument

--- What an unknown name evaluates to: anything may be done with it, and check.lua keeps silent about it.
local Unknown = {}
Unknown.__index = function(self)
  return self
end
Unknown.__call = function(self)
  return self
end

--- A declaration; calling one that has no table yet gives it its table.
local Decl = {}
Decl.__call = function(self, body)
  return self.__give(self, body)
end

function M.is_unknown(v)
  return type(v) == "table" and getmetatable(v) == Unknown
end

---@return string|nil kind of the declaration `v`
function M.kind_of(v)
  if type(v) ~= "table" then
    return nil
  end
  return getmetatable(v) == Decl and v.kind or rawget(v, "__upstream") and "upstream" or nil
end

--- Place of the configuration's line that is being run, when nothing better is known; `word` gives the column.
function Loader:here(word)
  for level = 2, 12 do
    local info = debug.getinfo(level, "Sl")
    local unit = info and self.units[info.source:sub(2)]
    if unit then
      local p = positions.find_on_line(unit.scan.tokens, info.currentline, word)
      return { file = unit.name, line = p.line, col = p.col, len = p.len }, unit
    end
  end
  return { file = self.main, line = 0, col = 0 }
end

local function with_file(unit, p)
  return p and { file = unit.name, line = p.line, col = p.col, len = p.len }
end

--- Place of a table's brace, nil when it was made elsewhere.
function Loader:place(t)
  local w = self.where[t]
  return w and with_file(w.unit, w.info.at)
end

--- Place of a key, and of its value.
function Loader:key_place(t, key)
  local w = self.where[t]
  if not w then
    return nil
  end
  return with_file(w.unit, w.info.keys[key] or w.info.at), with_file(w.unit, w.info.values[key] or w.info.at)
end

--- Folder of the file a table was written in.
function Loader:dir_of(t)
  local w = t and self.where[t]
  return w and w.unit.dir or self.dir
end

function Loader:error(at, message, more)
  self.diags:add("error", at, message, more)
end

--- A declaration of `kind` with its argument.
function Loader:declare(kind, name, finish)
  local at = self:here(kind)
  local d = setmetatable({ kind = kind, name = name, at = at, arg = at }, Decl)
  self.pending[d] = true
  d.__give = function(_, body)
    return self:give(d, body, finish)
  end
  return d
end

--- The table of a declaration arrives.
function Loader:give(d, body, finish)
  self.pending[d] = nil
  local w = type(body) == "table" and self.where[body]
  if w and w.info.head then
    d.at = with_file(w.unit, w.info.head)
    d.arg = with_file(w.unit, w.info.arg) or d.at
  end
  if d.body then
    self:error(self:here(d.kind), ("%s already has its options"):format(self:title(d)))
    return d
  elseif type(body) ~= "table" then
    self:error(d.at, ("%s needs a table of options, got %s"):format(self:title(d), type(body)))
    body = {}
  end
  d.body = body
  return finish and finish(d) or d
end

--- "site "app.example.com"" for messages.
function Loader:title(d)
  if d.kind == "gateway" then
    return "gateway"
  elseif type(d.name) == "table" then
    return ('%s "%s"'):format(d.kind, tostring(d.name[1]))
  end
  return ('%s "%s"'):format(d.kind, tostring(d.name))
end

local function need_name(self, kind, name)
  if type(name) == "string" and name ~= "" or M.is_unknown(name) then
    return true
  end
  local got = type(name) == "table" and "a table" or tostring(name)
  self:error(self:here(kind), ("%s needs a name first: %s \"name\" { … }, got %s"):format(kind, kind, got))
  return false
end

local function unique(self, list, d)
  local other = list[d.name]
  if other then
    self:error(d.arg, ("%s is declared twice; first at %s:%d"):format(self:title(d), other.at.file, other.at.line))
    return false
  end
  list[d.name] = d
  list[#list + 1] = d
  return true
end

local declarations = {}

function declarations.gateway(self)
  return function(body)
    local d = setmetatable({ kind = "gateway", at = self:here("gateway") }, Decl)
    self:give(d, body)
    if self.gateway then
      self:error(d.at, ("gateway is declared twice; first at %s:%d"):format(self.gateway.at.file, self.gateway.at.line))
    else
      self.gateway = d
    end
  end
end

function declarations.upstream(self)
  return function(name)
    if not need_name(self, "upstream", name) then
      return setmetatable({}, Unknown)
    end
    return self:declare("upstream", name, function(d)
      local handle = { __upstream = true, name = d.name }
      d.handle = handle
      unique(self, self.upstreams, d)
      self.decl_of[handle] = d
      return handle
    end)
  end
end

function declarations.cache(self)
  return function(name)
    if not need_name(self, "cache", name) then
      return setmetatable({}, Unknown)
    end
    return self:declare("cache", name, function(d)
      unique(self, self.caches, d)
      return d
    end)
  end
end

function declarations.site(self)
  return function(name)
    return self:declare("site", name, function(d)
      self.sites[#self.sites + 1] = d
      return d
    end)
  end
end

function declarations.route(self)
  return function(pattern)
    return self:declare("route", pattern, function(d)
      self.routes[#self.routes + 1] = d
      return d
    end)
  end
end

function declarations.policy(self)
  return function(name)
    if not need_name(self, "policy", name) then
      return setmetatable({}, Unknown)
    end
    local d = self:declare("policy", name)
    self.pending[d] = nil -- options may be left out
    return d
  end
end

declarations["env"] = function(self)
  return function(name, default)
    local value = type(name) == "string" and self.opts.env(name) or nil
    if value == nil then
      value = default
    end
    if value == nil then
      self:error(self:here("env"), ("environment variable '%s' is not set"):format(tostring(name)),
        { hint = ('or write env("%s", "default")'):format(tostring(name)) })
      return setmetatable({}, Unknown)
    end
    return value
  end
end

function declarations.file(self)
  return function(path)
    local at, unit = self:here("file")
    local text, err = self:read(tostring(path), unit and unit.dir)
    if not text then
      self:error(at, err)
      return setmetatable({}, Unknown)
    end
    return text
  end
end

function declarations.include(self)
  return function(pattern)
    local at, unit = self:here("include")
    local path = self:resolve(tostring(pattern), unit and unit.dir)
    local wild = path:find("[%*%?%[]")
    local names, err = { path }, nil
    if wild then
      names, err = self.opts.glob(path)
    end
    if not names then
      self:error(at, ("cannot list '%s': %s"):format(tostring(pattern), tostring(err)))
      return nil
    end
    local result
    for _, name in ipairs(names) do
      result = self:evaluate(name, nil, at)
    end
    return not wild and result or nil
  end
end

--- Path `name` as seen from the file in `dir`.
function Loader:resolve(name, dir)
  if name:sub(1, 1) == "/" or name == "-" then
    return name
  end
  dir = dir or self.dir
  return dir == "" and name or dir .. name
end

--- Bytes of a file, or nil and a message that says who could not read it.
function Loader:read(name, dir)
  local path = self:resolve(name, dir)
  local bytes, err = self.opts.reader(path)
  if bytes then
    return bytes, path
  end
  local why = tostring(err or "unknown error"):gsub("^" .. path:gsub("%p", "%%%0") .. ": ", "")
  return nil, ("cannot read '%s' as user %s: %s"):format(path, self.opts.user(), why)
end

--- Names a file may use, for "did you mean".
function Loader:known_names(unit)
  local names = {}
  for name in pairs(self.globals) do
    if name ~= positions.MARK then
      names[#names + 1] = name
    end
  end
  for name in pairs(unit and unit.scan.locals or {}) do
    names[#names + 1] = name
  end
  return names
end

--- The environment of one file: the safe library, the declarations, and a watch on everything else.
function Loader:environment(unit)
  local written = {}
  local env = setmetatable({}, {
    __metatable = false,
    __index = function(t, name)
      local v = self.globals[name]
      if v == nil then
        v = written[name]
      end
      if v == nil and name == "mg" and self.sealed then
        v = self.opts.moongate()
      end
      if v ~= nil then
        if self.sealed and declarations[name] then
          error(("'%s' belongs to the configuration; a hook can only use what was made with it before"):format(name), 2)
        elseif self.sealed then
          rawset(t, name, v) -- hooks find it without coming here again
        end
        return v
      end
      return self:unknown_name(name, unit)
    end,
    __newindex = function(_, name, value)
      if self.sealed then
        local at = self:here(name)
        error(("%s:%d: assignment to global '%s': hooks keep state in ctx, in locals or in mg.shared"):format(
          at.file, at.line, tostring(name)), 0)
      end
      local at = self:here(name)
      self:error(at, ("assignment to global '%s'"):format(tostring(name)), { hint = ("write local %s = …"):format(tostring(name)) })
      written[name] = value
    end,
  })
  return env
end

function Loader:unknown_name(name, unit)
  if self.sealed then
    return nil
  end
  local message = ("unknown name '%s'"):format(tostring(name))
  local near = diag.nearest(tostring(name), self:known_names(unit))
  if name == "mg" then
    message = "'mg' can be used in hooks only"
  elseif near then
    message = message .. ("; did you mean '%s'?"):format(near)
  end
  self:error(self:here(name), message)
  return setmetatable({}, Unknown)
end

function Loader:mark(unit)
  return function(id, t)
    local info = not self.sealed and unit.scan.tables[id]
    if info and type(t) == "table" then
      self.where[t] = { unit = unit, info = info }
    end
    return t
  end
end

--- Column of a compile error from the token it names.
local function syntax_place(unit, line, message)
  local near = message:match("near '(.-)'")
  local p = positions.find_on_line(unit.scan.tokens, line, near)
  return with_file(unit, p)
end

function Loader:duplicates(unit)
  for _, info in ipairs(unit.scan.tables) do
    for _, twice in ipairs(info.twice or {}) do
      self:error(with_file(unit, twice.at), ("'%s' is written twice; first in line %d"):format(tostring(twice.key), twice.first))
    end
  end
end

--- Runs the file at `path` (or `text` under that name). Returns what it returns.
function Loader:evaluate(path, text, from)
  if not text then
    local err
    text, err = self:read(path, "")
    if not text then
      self:error(from or { file = path, line = 0 }, err)
      return nil
    end
  end
  if self.units[path] then
    self:error(from, ("'%s' is included twice"):format(path))
    return nil
  end
  self.diags:source(path, text)
  local unit = { name = path, dir = path:match("^(.*/)") or "", scan = { tokens = {}, locals = {}, tables = {} } }
  self.units[path] = unit
  local f, line, message = sandbox.compile(text, path)
  unit.scan = positions.scan(text)
  if not f then
    self.aborted = true
    self:error(syntax_place(unit, line, message), message)
    return nil
  end
  self:duplicates(unit)
  -- The text with marks compiles when the text does; should our reading of it ever differ from Lua's, positions get worse, nothing else.
  f = loadstring((unit.scan.text:gsub("^#[^\n]*", "")), "=" .. path) or f
  local env = self:environment(unit)
  rawset(env, positions.MARK, self:mark(unit))
  sandbox.seal(f, env)
  local ok, result, at_line = sandbox.call(f)
  if not ok then
    self:runtime_error(unit, result, at_line)
    return nil
  end
  return result
end

function Loader:runtime_error(unit, err, line)
  self.aborted = true
  local text = type(err) == "string" and err or "error object is a " .. type(err)
  local file, at, message = text:match("^(.-):(%d+): (.*)$")
  local where = file and self.units[file] or unit
  local n = tonumber(at) or line or 0
  self:error(with_file(where, positions.find_on_line(where.scan.tokens, n)), message or text)
end

--- Declarations that never got their table.
function Loader:report_pending()
  for d in pairs(self.pending) do
    self:error(d.at, ("%s has no table of options"):format(self:title(d)), { hint = ("%s { … }"):format(self:title(d)) })
  end
end

--- Everything has been built: from now on only hooks run in the environments, and what was known of the source is let go of (the
--- environments keep this object alive as long as the generation).
function Loader:seal()
  self.sealed = true
  for _, unit in pairs(self.units) do
    unit.scan = { tokens = {}, tables = {}, locals = {} }
  end
  self.where, self.decl_of, self.pending, self.diags = {}, {}, {}, nil
  self.upstreams, self.caches, self.sites, self.routes, self.gateway = {}, {}, {}, {}, nil
  self.opts = { moongate = self.opts.moongate }
end

--- Evaluates a configuration. `opts`: path, text, reader, env, glob, user, moongate (all set by conf.load).
---@param opts table
---@param diags table
---@return table loader  the declarations and their places; `aborted` when a file did not run to its end
function M.evaluate(opts, diags)
  local self = setmetatable({
    opts = opts, diags = diags, main = opts.path, dir = opts.path:match("^(.*/)") or "", units = {}, where = {}, pending = {},
    upstreams = {}, caches = {}, sites = {}, routes = {}, decl_of = {}, globals = sandbox.library(), sealed = false,
  }, Loader)
  for name, make in pairs(declarations) do
    self.globals[name] = make(self)
  end
  self:evaluate(opts.path, opts.text)
  if not self.aborted then
    self:report_pending()
  end
  return self
end

M.names = {}
for name in pairs(declarations) do
  M.names[#M.names + 1] = name
end
table.sort(M.names)

return M

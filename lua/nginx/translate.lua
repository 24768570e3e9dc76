--- From directives to the model. Three passes: every directive is checked against its entry and its value kept in its scope; routes
--- and upstreams get their numbers; the emitters of the directive modules fill the model. Directives are known only to the modules
--- in nginx/directives.
local describe = require "nginx.describe"
local diag = require "conf.diag"
local include = require "nginx.include"
local lint = require "nginx.lint"
local listeners = require "nginx.listeners"
local parser = require "nginx.parser"
local report = require "nginx.report"
local scopes = require "nginx.scope"
local units = require "nginx.units"

local M = {}

local Translate = {}
Translate.__index = Translate

local function contexts(where)
  local set = {}
  for word in where:gmatch("%S+") do
    set[word] = true
  end
  return set
end

--- All entries by name, with `where` as a set. A name may have an entry for each of several contexts (`server`, `resolver`).
local function collect(modules)
  local specs = {}
  for _, module in ipairs(modules) do
    for name, spec in pairs(module.directives) do
      local own = {}
      for k, v in pairs(spec) do
        own[k] = v
      end
      own.where = contexts(spec.where)
      specs[name] = specs[name] or { list = {} }
      if spec.default ~= nil then -- an entry of the same name in another context may have none
        specs[name].default = spec.default
      end
      table.insert(specs[name].list, own)
    end
  end
  return specs
end

local known

--- The same for every file: collected once.
local function all_specs()
  known = known or collect(require "nginx.directives")
  return known
end

--- Names as `if` is called depending on where it stands.
local function kind_of(spec, scope)
  return type(spec.block) == "function" and spec.block(scope) or spec.block
end

local function counts(spec, n)
  local args = spec.args
  if type(args) == "number" then
    return n == args
  elseif type(args) == "string" then
    return n >= tonumber(args:match("%d+"))
  end
  return args == nil or (n >= args[1] and n <= args[2])
end

--- A file of something else is wrong in every line: nobody reads what each of them might have meant.
local HINTS_MAX = 20

--- The directive that was meant, most likely.
function Translate:nearest(name)
  self.hints = self.hints + 1
  if self.hints > HINTS_MAX then
    return nil
  end
  local names = {}
  for known_name in pairs(self.specs) do
    names[#names + 1] = known_name
  end
  table.sort(names)
  return diag.nearest(name, names)
end

function Translate:unknown(d)
  local module, near = describe.module_of(d.name), self:nearest(d.name)
  local hint = module and ("nginx has it in its %s module; it is not supported here"):format(module)
    or near and ("did you mean %s?"):format(near)
  self.c.diags:add("error", d, ('unknown directive "%s"'):format(d.name), { word = "emerg", hint = hint })
end

--- The directive's entry for this context; nil after a report.
function Translate:spec_of(d, scope)
  local named = self.specs[d.name]
  if not named then
    return self:unknown(d)
  end
  for _, spec in ipairs(named.list) do
    if spec.where[scope.kind] then
      return spec
    end
  end
  return self.c:error(d, '"%s" directive is not allowed here', d.name)
end

--- Has the directive the ending and the number of arguments it needs?
function Translate:fits(d, spec)
  local c = self.c
  if not spec.block and d.block then
    c:error(d, 'directive "%s" is not terminated by ";"', d.name)
  elseif spec.block and not d.block then
    c:error(d, 'directive "%s" has no opening "{"', d.name)
  elseif not counts(spec, #d.args) then
    c:error(d, 'invalid number of arguments in "%s" directive', d.name)
  else
    return true
  end
  return false
end

--- Place of the only argument.
local function place(d)
  local at = d.args_at[1]
  return at and { file = d.file, line = at.line, col = at.col, len = at.len }
end

--- What an argument of a kind looks like.
local forms = {
  [units.time] = "a time is a number with y, M, w, d, h, m, s or ms: 30s, 1h 30m", [units.size] = "a size is a number with k, m or g: 16k",
}

--- What parse returned as wrong: nginx says some of it with the directive's name in front. One argument: it is the one.
function Translate:wrong(d, message, spec)
  local invalid = message == "invalid value" or message == "invalid number"
  if message:find("^is ") or invalid then
    message = ('"%s" directive %s'):format(d.name, message)
  end
  local at = #d.args == 1 and not d.block and not message:find("^\"[^\"]*\" directive is") and place(d) or report.quoted(d, message)
  self.c.diags:add("error", at, message, { word = "emerg", hint = invalid and forms[spec.parse] or nil })
end

function Translate:value(d, spec, scope)
  if not spec.parse then
    return d.args
  end
  local v, err = spec.parse(d, scope, self.c)
  if v == nil and err then
    self:wrong(d, err, spec)
  end
  return v
end

--- The words of both directives, as if one had said them.
local function join(first, d)
  local both = setmetatable({ args = {}, args_at = {} }, { __index = d })
  for _, part in ipairs { first, d } do
    for i, word in ipairs(part.args) do
      both.args[#both.args + 1] = word
      both.args_at[#both.args] = part.args_at[i]
    end
  end
  return both
end

function Translate:store(d, spec, scope)
  local values = scope.values
  if spec.joins and values[d.name] ~= nil then
    d = join(scope.nodes[d.name], d)
    values[d.name], scope.nodes[d.name] = nil, nil
  elseif not spec.many and values[d.name] ~= nil then
    return self.c:error(d, '"%s" directive is duplicate', d.name)
  end
  local v = self:value(d, spec, scope)
  if v == nil then
    return
  end
  if spec.many then
    values[d.name] = values[d.name] or {}
    table.insert(values[d.name], v)
  else
    values[d.name] = v
  end
  scope.nodes[d.name] = scope.nodes[d.name] or d
end

function Translate:block(d, spec, scope)
  local kind = kind_of(spec, scope)
  if kind == true then -- lines of its own: the entry's parse reads them
    return self:store(d, spec, scope)
  end
  if spec.once and #scope:each(kind) > 0 then
    return self.c:error(d, '"%s" directive is duplicate', d.name)
  end
  local child = scopes.new(kind, scope, d, self.specs)
  if spec.open then
    local _, err = spec.open(d, child, self.c)
    if err then
      self:wrong(d, err, spec)
    end
  end
  self:directives(d.block, child)
  if spec.close then
    spec.close(d, child, self.c)
  end
end

function Translate:directives(nodes, scope)
  for _, d in ipairs(nodes) do
    local spec = self:spec_of(d, scope)
    if spec and self:fits(d, spec) then
      if spec.noop then
        self.c:note(d, '"%s" has no effect here', d.name)
      elseif spec.block then
        self:block(d, spec, scope)
      else
        self:store(d, spec, scope)
      end
    end
  end
end

--- Calls one emitter of every module that has it.
function Translate:emit(name, ...)
  for _, module in ipairs(self.modules) do
    if module[name] then
      module[name](...)
    end
  end
end

local function label(d)
  return ("%s:%d"):format(d.file, d.line)
end

local route_kinds = { location = true, ["if"] = true, server_if = true, limit_except = true }

--- Numbers the routes of a site: its own first, then as they stand in the file, each block before those inside it.
function Translate:number_routes(scope, list)
  list[#list + 1] = scope
  self.c.routes[scope] = #list - 1
  for _, child in ipairs(scope.children) do
    if route_kinds[child.kind] then
      self:number_routes(child, list)
    end
  end
  return list
end

function Translate:number_upstreams(http)
  local c = self.c
  for _, scope in ipairs(http:each("upstream")) do
    local name = scope.node.args[1]
    local key = name:lower()
    if c.upstreams[key] then
      c:error(scope.node, 'duplicate upstream "%s"', name)
    else
      local u = { name = name, peers = {}, label = label(scope.node) }
      table.insert(c.gateway.upstreams, u)
      c.upstreams[key] = { index = #c.gateway.upstreams - 1, scope = scope, model = u }
    end
  end
end

function Translate:emit_site(server)
  local c = self.c
  local scopes_of = self:number_routes(server, {})
  local site = { match = "nginx", names = {}, routes = {}, fallback = 0, label = label(server.node) }
  table.insert(c.gateway.sites, site)
  server.index = #c.gateway.sites - 1
  self:emit("site", server, site, c)
  for i, scope in ipairs(scopes_of) do
    local parent = c.routes[scope.parent]
    local route = {
      match = "inner", pattern = "", order = i - 1, label = label(scope.node), parent = scope ~= server and parent or nil,
    }
    site.routes[i] = route
    self:emit("route", scope, route, c)
  end
end

function Translate:model()
  local c, main = self.c, self.main
  local http = main.http
  if http then
    self:number_upstreams(http)
    for _, scope in ipairs(http:each("upstream")) do
      local u = c.upstreams[scope.node.args[1]:lower()]
      if u.scope == scope then
        self:emit("upstream", scope, u.model, c)
      end
    end
    for _, server in ipairs(http:each("server")) do
      self:emit_site(server)
    end
    for _, l in ipairs(listeners.plan(http, c)) do
      self:emit("listen", l.default, l.model, c, l.servers)
    end
  end
  self:emit("gateway", main, c.gateway, c)
  return { gateway = c.gateway, hooks = c.hooks }
end

--- What the parser works with.
local function parsing(c, opts, diags)
  return {
    read = function(name)
      return c:read(name)
    end,
    glob = opts.glob, folder = include.folder(opts.path),
    report = function(at, message)
      c:error(at, "%s", message)
    end,
    source = function(file, text)
      diags:source(file, text)
    end,
  }
end

--- Reads the directives of -g and of the file into scopes; false when there is no file.
function Translate:read(opts, diags)
  local path, parse = opts.path, parsing(self.c, opts, diags)
  self.main = scopes.new("main", nil, { name = "main", args = {}, file = path, line = 1, col = 1 }, self.specs)
  for _, text in ipairs(opts.overrides or {}) do
    parse.inline = true
    self:directives(parser.parse(parse, "command line", text:find(";%s*$") and text or text .. ";"), self.main)
    parse.inline = nil
  end
  local text = opts.text or self.c:need_file(path, { file = path })
  if not text then
    return false
  end
  self.main.node.block = parser.parse(parse, path, text)
  self:directives(self.main.node.block, self.main)
  return true
end

--- Only the blocks: no model is made.
function Translate:blocks(opts)
  if self.main.http then
    self:number_upstreams(self.main.http)
  end
  opts.scopes(self.main, self.c)
  return { gateway = self.c.gateway, hooks = self.c.hooks }
end

--- Loads a configuration in nginx syntax.
---@param opts table   { path, text?, prefix?, overrides?, reader, glob, lint?, scopes?, only_blocks? }
---@param diags table
---@return table|nil model
function M.load(opts, diags)
  local c = report.new({ path = opts.path, prefix = opts.prefix, read = opts.reader, glob = opts.glob, env = opts.env }, diags)
  local self = setmetatable({ c = c, modules = require "nginx.directives", specs = all_specs(), hints = 0 }, Translate)
  if not self:read(opts, diags) or diags.errors > 0 then
    return nil
  elseif opts.only_blocks then
    return self:blocks(opts)
  end
  local model = self:model()
  if opts.scopes and diags.errors == 0 then
    opts.scopes(self.main, c)
  end
  if opts.lint and diags.errors == 0 then
    lint.run(self.main, c)
  end
  return model
end

return M

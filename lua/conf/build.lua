--- From checked declarations to the model: one plain table with exactly the fields of core/conf/fields.def, already inherited and in
--- plain units. A field that nobody wrote is left out; the core knows its default.
local check = require "conf.check"
local schema = require "conf.schema"
local inherit = require "conf.inherit"
local routes = require "conf.routes"
local route_model = require "conf.route_model"
local upstream_model = require "conf.upstream_model"
local listeners = require "conf.listeners"
local policies = require "conf.policies"
local exchange_model = require "conf.exchange_model"
local errors_model = require "conf.errors_model"
local log_model = require "conf.log_model"
local tls_model = require "conf.tls_model"
local vars_model = require "conf.vars_model"
local special = require "conf.special"
local types = require "conf.types"

local M = {}

local Build = {}
Build.__index = Build

--- Handles by name for the options of policies; asking for one makes it used.
local function install_upstreams_by_name(c)
  local by_name = setmetatable({}, { __index = function(_, name)
    local d = type(name) == "string" and c.loader.upstreams[name]
    if d then
      d.used = true
      return d.handle
    end
    return nil
  end })
  function c.upstreams_by_name()
    return by_name
  end
end

--- Upstreams: checked and numbered first, because everything refers to them.
function Build:check_upstreams()
  local c = self.c
  for i, d in ipairs(c.loader.upstreams) do
    d.handle.index = i - 1
    c.crumbs = { c.loader:title(d) }
    d.options = check.declaration(c, d, schema.upstream)
  end
  c.crumbs = {}
  for _, d in ipairs(c.loader.caches) do
    c:report(d.at, "cache is not available in this build", { hint = "remove it" })
  end
end

function Build:build_upstreams()
  local c, out = self.c, {}
  for i, d in ipairs(c.loader.upstreams) do
    c.crumbs = { c.loader:title(d) }
    out[i] = upstream_model.build(c, d, d.options or {})
    if not d.used and c.diags.errors == 0 then
      c:report(d.at, ("%s is used by nobody"):format(c.loader:title(d)), { level = "warn" })
    end
  end
  for _, d in ipairs(c.implicit) do
    d.options = d.url and upstream_model.of_url(d.url) or {}
    out[#out + 1] = upstream_model.build(c, d, d.options)
  end
  c.crumbs = {}
  self.model.upstreams = out
  self:share_peers()
end

--- What the workers know of peers is common to them: one table for all groups, of which only what is used takes memory.
function Build:share_peers()
  local zones = self.model.zones or {}
  if #self.model.upstreams == 0 then
    return
  end
  zones[#zones + 1] = { name = "upstreams", kind = "peers", size = 4194304 }
  for _, u in ipairs(self.model.upstreams) do
    u.zone = #zones - 1
  end
  self.model.zones = zones
end

--- Implicit groups get their numbers when the last declaration has been checked.
function Build:number_implicit()
  local n = #self.c.loader.upstreams
  for i, d in ipairs(self.c.implicit) do
    d.handle.index = n + i - 1
  end
end

local gateway_fields = {
  user = "user", group = "group", pid = "pid", temp_dir = "temp_dir", shutdown = "shutdown_timeout", probation = "probation",
  watch = "watch", server_header = "server_header",
}

local gateway_groups = {
  admin = { socket = "admin_socket", state = "upstream_state" },
  limits = { connections = "max_connections", per_address = "max_connections_per_address" },
  scripts = { cpu = "hook_cpu", memory = "hook_memory", watchdog = "watchdog" },
  log = { level = "error_level" },
}

function Build:gateway()
  local c, g = self.c, self.model
  local d = c.loader.gateway
  if not d then
    self.options = {}
    return
  end
  c.crumbs = { "gateway" }
  local o = check.declaration(c, d, schema.gateway, "g")
  c.crumbs = {}
  self.options = o
  for option, name in pairs(gateway_fields) do
    g[name] = o[option]
  end
  for group, fields in pairs(gateway_groups) do
    for option, name in pairs(fields) do
      g[name] = o[group] and o[group][option] or g[name]
    end
  end
  g.workers = type(o.workers) == "number" and o.workers or nil
  g.resolver = o.resolver and table.concat(o.resolver, ",")
  if o.log and o.log.error and o.log.error ~= "-" then
    g.error_log = o.log.error
  end
  self:dicts(o.shared)
end

--- Variables: those of the gateway, and those that routes set.
function Build:variables()
  self.c.crumbs = { "gateway" }
  self.model.vars = vars_model.build(self.c, self.options.vars)
  self.c.crumbs = {}
end

function Build:dicts(shared)
  local list = {}
  for name, size in pairs(shared or {}) do
    list[#list + 1] = { name = name, size = size }
  end
  table.sort(list, function(a, b)
    return a.name < b.name
  end)
  self.model.dicts = list[1] and list or nil
end

local function valid_host(name)
  return name == "*" or name:match("^%*%.[%w%-_.]+$") or name:match("^[%w%-_.]+$") or name:match("^%[[%x:.]+%]$")
end

--- Host names of a site in lower case.
function Build:site_names(d)
  local c, names = self.c, {}
  local given = type(d.name) == "table" and not c:is_decl(d.name) and d.name or { d.name }
  for i, name in ipairs(given) do
    local at = given == d.name and { holder = given, key = i } or d.arg
    if type(name) ~= "string" or not valid_host(name) then
      local shown = type(name) == "string" and ("%q"):format(name) or "a " .. type(name)
      c:report(at, ('a site needs host names such as "app.example.com", "*.example.com" or "*", got %s'):format(shown),
        { hint = type(name) == "string" and name:find("[:/]") and "ports belong in listen" or nil })
    else
      names[#names + 1] = name:lower():gsub("%.$", "")
    end
  end
  if #given == 0 then
    c:report(d.arg, "a site needs at least one host name")
  end
  return names
end

--- The model's id of the hooks of a route; the same list of scopes always gives the same id.
function Build:hooks_of(scopes)
  local parts = {}
  for i, scope in ipairs(scopes) do
    parts[i] = tostring(#scope.list > 0 and scope.id or 0) .. (scope.use_off and "u" or "") .. (scope.on_off and "o" or "")
  end
  local key = table.concat(parts, ",")
  local known = self.hook_ids[key]
  if not known then
    local hooks, mask = policies.compose(scopes)
    known = { mask = mask }
    if hooks then
      known.id = #self.hooks + 1
      self.hooks[known.id] = hooks
    end
    self.hook_ids[key] = known
  end
  return known.id, known.mask
end

function Build:scope(options)
  self.scopes = self.scopes + 1
  return {
    id = self.scopes, list = policies.of_scope(self.c, options), use_off = options.use == false, on_off = options.on == false,
  }
end

--- One route: pattern, options that hold, hooks.
function Build:route(site, d, options, scope, pattern)
  local c = self.c
  local r = {
    match = pattern.match, pattern = pattern.pattern, border = pattern.border, caseless = pattern.caseless,
    order = #site.model.routes, label = ("%s:%d"):format(d.at.file, d.at.line),
  }
  local id, mask = self:hooks_of({ self.gateway_scope, site.scope, scope })
  if id then
    r.hooks, r.hook_id = mask, id
  end
  local effective = inherit.effective(schema.route, { self.options, site.options, options })
  effective.methods, effective.when, effective.strip_prefix = options.methods, options.when, options.strip_prefix
  effective.slash_redirect, effective.internal = options.slash_redirect, options.internal
  log_model.fill(self, r, effective.log)
  route_model.fill(c, r, effective, d, site.decl)
  table.insert(site.model.routes, r)
  table.insert(site.pending, { route = r, effective = effective, scopes = { self.options, site.options, options } })
  return r
end

--- Checks the route declarations of a site; the ones whose pattern is understood come back.
function Build:check_routes(site)
  local c, list = self.c, {}
  for _, d in ipairs(site.options) do
    d.owner = d.owner or site.decl
    c.crumbs = { c.loader:title(site.decl), c.loader:title(d) }
    local pattern, err, hint = routes.parse(d.name)
    local refusal = pattern and pattern.match == "regex" and types.refusal("regex", pattern.pattern)
    if not pattern and not c:is_decl(d.name) then
      c:report(d.arg, err, { hint = hint })
    elseif refusal then
      c:report(d.arg, refusal)
    end
    local options = check.declaration(c, d, schema.route, "r")
    if pattern then
      list[#list + 1] = { decl = d, pattern = pattern, options = options, crumbs = c.crumbs }
    end
  end
  c.crumbs = { c.loader:title(site.decl) }
  routes.report_ties(c, list)
  return list
end

--- Error pages come last: they may need routes of their own, and name others.
local function error_pages(self, site)
  self.c.crumbs = { self.c.loader:title(site.decl) }
  for _, item in ipairs(site.pending) do
    errors_model.fill(self, site, item.route, item.effective, item.scopes)
  end
end

local function is_catch_all(r)
  return r.pattern.match == "prefix" and r.pattern.pattern == "/" and not r.options.methods and not r.options.when
end

function Build:site_routes(site)
  local c, model = self.c, site.model
  local catch_all
  site.pending, site.named = {}, {}
  for _, item in ipairs(site.routes) do
    site.named[item.pattern.match == "named" and item.pattern.pattern or 0] = true
  end
  for _, item in ipairs(site.routes) do
    c.crumbs = item.crumbs
    self:route(site, item.decl, item.options, self:scope(item.options), item.pattern)
    catch_all = catch_all or is_catch_all(item) and #model.routes
  end
  c.crumbs = { c.loader:title(site.decl) }
  local o = site.options
  local answers = route_model.names_target(site.decl)
  if not catch_all and (answers or #model.routes == 0 and (o.on or o.use)) then
    self:route(site, site.decl, {}, { id = 0, list = {} }, { match = "prefix", pattern = "/", border = false })
    catch_all = #model.routes
  elseif #model.routes == 0 and #site.options == 0 and c.diags.errors == 0 then
    c:report(site.decl.at, ("%s has no route and no target"):format(c.loader:title(site.decl)),
      { hint = "add proxy, redirect, reply, files or a route" })
  end
  if not catch_all then
    local scopes = { self.options, o }
    local effective = inherit.effective(schema.route, scopes)
    local r = errors_model.fallback(self, site, effective)
    catch_all = r and #model.routes
    site.pending[#site.pending + 1] = r and { route = r, effective = effective, scopes = scopes } or nil
  end
  model.fallback = catch_all and catch_all - 1 or nil
  error_pages(self, site)
end

function Build:trust(model, trust)
  if not trust then
    return
  end
  model.trust = {}
  for i, network in ipairs(trust) do
    model.trust[i] = network
  end
  model.trust_header = trust.header or "X-Forwarded-For"
  model.trust_recursive = trust.recursive
end

--- First pass over a site: everything is checked, nothing is built.
function Build:check_site(d)
  local c = self.c
  c.crumbs = { c.loader:title(d) }
  local site = { decl = d, names = self:site_names(d) }
  site.options = check.declaration(c, d, schema.site, "s")
  site.tls = site.options.tls or nil
  site.routes = self:check_routes(site)
  c.crumbs = {}
  return site
end

--- Second pass: upstreams have their numbers now.
function Build:build_site(site)
  local c = self.c
  c.crumbs = { c.loader:title(site.decl) }
  site.model = { names = site.names, label = site.names[1], routes = {} }
  site.scope = self:scope(site.options)
  site.effective = inherit.effective(schema.site, { self.options, site.options })
  site.http_redirect = site.effective.http_redirect
  if site.effective.http2 == false then
    site.model.http2 = false
  end
  site.redirect_logs = log_model.access(self, site.effective.log)
  self:trust(site.model, site.effective.trust)
  if site.tls then
    tls_model.fill(c, site)
  end
  self:site_routes(site)
  table.insert(self.model.sites, site.model)
  site.index = #self.model.sites - 1
  c.crumbs = {}
end

function Build:strays()
  for _, d in ipairs(self.c.loader.routes) do
    if not d.owner then
      self.c:report(d.at, ("%s is in no site"):format(self.c.loader:title(d)), { level = "warn" })
    end
  end
  if #self.c.loader.sites == 0 and self.c.diags.errors == 0 then
    self.c:report({ file = self.c.loader.main, line = 0 }, "no site is declared",
      { hint = 'write site "*" { proxy = "http://127.0.0.1:3000" }' })
  end
end

--- Builds the model from the evaluated declarations. Errors are in loader.diags.
---@param loader table
---@return table model  { gateway = …, hooks = … }
function M.build(loader)
  local c = check.new(loader)
  install_upstreams_by_name(c)
  tls_model.install(c)
  local self = setmetatable({
    c = c, model = { listens = {}, sites = {}, logs = {} }, logs = {}, hooks = {}, hook_ids = {}, scopes = 0,
  }, Build)
  c.model = self.model
  vars_model.declare(c)
  self:check_upstreams()
  self:gateway()
  self:variables()
  local sites = {}
  for i, d in ipairs(loader.sites) do
    sites[i] = self:check_site(d)
  end
  self:number_implicit()
  self.gateway_scope = self:scope(self.options)
  for _, site in ipairs(sites) do
    self:build_site(site)
  end
  tls_model.finish(sites)
  self:build_upstreams()
  exchange_model.finish(c)
  listeners.plan(c, self.model, sites, self.options)
  self:strays()
  return { gateway = self.model, hooks = self.hooks }
end

M.is_network = special.is_network

return M

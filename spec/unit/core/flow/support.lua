--- Configurations, plans and requests for the specs of flow/ and back/, without sockets: a conf tree is built from
--- plain tables with the project's own builder, a request is made by hand.
local net = require("spec.unit.core.net.support")
local unit, ffi = net.unit, net.ffi

local M = { net = net, unit = unit, ffi = ffi, E = net.E }

M.C = unit.use("base/map.h", "base/regex.h", "conf/conf.h", "conf/build.h", "back/group.h", "back/lease.h",
  "net/resolve.h", "net/stream.h", "tls/ctx.h", "flow/plan.h", "flow/req.h", "flow/route.h", "flow/access_log.h", "flow/log_file.h",
  "flow/realip.h", "flow/var.h", "flow/tmpl.h", "back/retry.h", "base/rand.h")
local C = M.C

local anchors = {}
--- Keeps a value for the life of the process (C borrows it).
function M.keep(value)
  anchors[#anchors + 1] = value
  return value
end

local kinds = {}
--- Number of CONF_KIND_<name>.
local function kind_of(name)
  kinds[name] = kinds[name] or C.conf_kind_find(unit.str(name))
  assert(kinds[name] >= 0, name)
  return kinds[name]
end

local fill

local function set_field(c, field, obj, key, value)
  local kind = type(value)
  if kind == "number" then
    assert(C.conf_set_number(field, obj, value) == 0, key)
  elseif kind == "boolean" then
    assert(C.conf_set_bool(field, obj, value) == 0, key)
  elseif kind == "string" then
    assert(C.conf_set_str(c, field, obj, unit.str(value)) == 0, key)
  else
    local array = C.conf_set_array(c, field, obj, #value)
    for i, item in ipairs(value) do
      if type(item) == "string" then
        ffi.cast("str *", array)[i - 1] = C.pool_dup(c.pool, unit.str(item))
      elseif type(item) == "number" then
        ffi.cast("int *", array)[i - 1] = item
      else
        fill(c, tonumber(field.kind), ffi.cast("char *", array) + (i - 1) * C.conf_kind_size(field.kind), item)
      end
    end
  end
end

fill = function(c, kind, obj, values)
  for key, value in pairs(values) do
    local field = C.conf_field_find(kind, unit.str(key))
    assert(field ~= nil, "no such field: " .. key)
    set_field(c, field, obj, key, value)
  end
end

--- A conf from a table of the gateway's fields; never freed.
---@param values table
---@return ffi.cdata* conf
function M.conf(values)
  local c = C.conf_new()
  fill(c, kind_of("gateway"), c.g, values)
  return c
end

--- A plan, or nil and the message.
---@param values table  gateway fields
function M.plan(values)
  local err = ffi.new("char[512]")
  local p = C.plan_new(M.conf(values), 1, err, 512)
  if p == nil then
    return nil, ffi.string(err)
  end
  return p
end

local words = { exact = "exact", prefix = "prefix", segments = "segments", regex = "regex" }

--- Route fields from the native notation: "/x", "/x/*", "/u/:id", "~ regex", "~* caseless".
---@param notation string
---@param more? table  further fields
function M.route(notation, more)
  local r = { label = notation, action = "reply", reply_status = 200 }
  local star, regex = notation:match("^~(%*?) (.+)$")
  if regex then
    r.match, r.pattern, r.caseless = words.regex, regex, star == "*"
  elseif notation:find("/:", 1, true) then
    r.match, r.pattern = words.segments, notation
  elseif notation:sub(-2) == "/*" then
    r.match, r.pattern = words.prefix, notation:sub(1, -3)
  else
    r.match, r.pattern = words.exact, notation
  end
  for key, value in pairs(more or {}) do
    r[key] = value
  end
  return r
end

--- A plan with one listener and one site for any host that has these routes.
---@param routes table[]
---@param site? table  further fields of the site
function M.plan_of(routes, site, more)
  local s = { names = { "*" }, routes = routes }
  for key, value in pairs(site or {}) do
    s[key] = value
  end
  local g = { listens = { { address = "127.0.0.1:0", sites = { 0 } } }, sites = { s } }
  for key, value in pairs(more or {}) do
    g[key] = value
  end
  return M.plan(g)
end

local METHODS = { GET = "METHOD_GET", HEAD = "METHOD_HEAD", POST = "METHOD_POST", PUT = "METHOD_PUT",
  DELETE = "METHOD_DELETE", OPTIONS = "METHOD_OPTIONS", PATCH = "METHOD_PATCH" }

--- A request of the plan's first site and listener, as after the admit step.
---@param p ffi.cdata*  plan
---@param target string  "/path?query"; "METHOD /path" for another method
---@param fields? string[][]  { {name, value}, ... }
---@return ffi.cdata* req
function M.req(p, target, fields)
  C.token_setup()
  local method, rest = target:match("^(%u+) (.*)$")
  target, method = rest or target, method or "GET"
  local r = C.req_new(net.loop(), p, p.listens[0], nil, nil)
  local function dup(text)
    return C.pool_dup(r.pool, unit.str(text))
  end
  ffi.fill(r.client, ffi.sizeof("req_client"))
  r.client_known = true -- no connection to ask
  local m = r["in"]
  m.version, m.minor = 11, 1
  m.method = METHODS[method] and M.E[METHODS[method]] or 0
  m.method_name, m.target = dup(method), dup(target)
  for _, f in ipairs(fields or {}) do
    assert(C.headers_add(m.h, dup(f[1]), dup(f[2])) == 0)
  end
  assert(C.uri_parse(m.target, m.method, true, r.pool, r.uri) == 0, target)
  r.path, r.query = r.uri.path, r.uri.query
  r.site = p.sites[0]
  local host = C.headers_get(m.h, unit.str("Host"))
  if host ~= nil then
    r.host_field = host.value
    assert(C.uri_host(host.value, r.pool, ffi.cast("str *", ffi.cast("char *", r) + ffi.offsetof("req", "host")),
      ffi.cast("uint16_t *", ffi.cast("char *", r) + ffi.offsetof("req", "port"))) == 0)
  end
  return r
end

--- Text of a str, nil when absent.
function M.text(s)
  return s.p ~= nil and unit.text(s) or nil
end

--- Label of the route that takes the request; nil and the allowed methods when none does.
function M.find(r)
  local allowed = ffi.new("uint32_t[1]")
  local rt = C.route_find(r.site.table, r, allowed)
  if rt == nil then
    return nil, tonumber(allowed[0])
  end
  r.route = rt
  return unit.text(rt.c.label)
end

C.rand_seed()
C.log_set_level(M.E.LOG_EMERG_) -- warnings that specs provoke

return M

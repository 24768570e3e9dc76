--- upstream {}: groups of servers and how requests are spread over them.
local address = require "nginx.address"
local resolver = require "nginx.directives.resolver"
local units = require "nginx.units"

local IMPLICIT_PORT = 80

--- ---- server

local function number(key)
  return function(p, value)
    p[key] = units.integer(value)
    return p[key]
  end
end

local parameters = {
  weight = function(p, value)
    p.weight = units.integer(value)
    return p.weight and p.weight > 0
  end,
  max_conns = number("max_conns"),
  max_fails = number("fails"),
  fail_timeout = function(p, value)
    p.window = units.ms(value)
    return p.window
  end,
  service = function(p, value)
    p.service = value
    return value
  end,
}

local words = { backup = "backup", down = "down", resolve = "resolve" }

--- One `server` line: the model's peer, with `resolve` and `service` beside it.
local function server(d)
  local p = { text = d.args[1] }
  for i = 2, #d.args do
    local key, value = d.args[i]:match("^([%w_]+)=(.*)$")
    local set = key and parameters[key]
    if key == "service" and value == "" then
      return nil, "service is empty"
    elseif set then
      if not set(p, value) then
        return nil, ('invalid parameter "%s"'):format(d.args[i])
      end
    elseif words[d.args[i]] then
      p[words[d.args[i]]] = true
    else
      return nil, ('invalid parameter "%s"'):format(d.args[i])
    end
  end
  return p
end

local function is_literal(host)
  return host:find("^%[") or host:find("^%d+%.%d+%.%d+%.%d+$")
end

--- Host and port of a server's text; nil after a report.
local function check_server(p, d, c)
  if p.text:find("^unix:") then
    return "unix"
  end
  local list, err = address.parse(p.text, { port = IMPLICIT_PORT })
  if not list then
    return c:error(d, '%s in upstream "%s"', err, p.text)
  end
  local host = list[1]:match("^(.*):%d+$")
  if p.service and p.text:find(":%d+$") then
    return c:error(d, 'service upstream "%s" may not have port', p.text)
  elseif p.service and is_literal(host) then
    return c:error(d, 'service upstream "%s" requires domain name', p.text)
  end
  return host
end

--- The name of the SRV records: a service without a dot is one over TCP.
local function service_name(p)
  return (p.service:find(".", 1, true) and p.service or ("_%s._tcp"):format(p.service)) .. "." .. p.text:gsub("%.$", "")
end

--- A name without `resolve` is looked up once, now.
local function addresses_of(p, host, d, c)
  if p.service and host ~= "unix" then
    return { service_name(p) }
  elseif host == "unix" or is_literal(host) or p.resolve then
    return { p.text }
  end
  local found = c:lookup(host)
  if not found then
    c:error(d, 'host not found in upstream "%s"', p.text)
    return {}
  end
  local port = p.text:match(":(%d+)$") or tostring(IMPLICIT_PORT)
  local list = {}
  for i, ip in ipairs(found) do
    list[i] = (ip:find(":", 1, true) and "[" .. ip .. "]" or ip) .. ":" .. port
  end
  return list
end

local function add_peers(u, p, d, c)
  local host = check_server(p, d, c)
  for _, text in ipairs(host and addresses_of(p, host, d, c) or {}) do
    table.insert(u.peers, {
      address = text, label = p.text, port = IMPLICIT_PORT, weight = p.weight, backup = p.backup, down = p.down, max_conns = p.max_conns,
      fails = p.fails or 1, window = p.window or 10000, service = p.service and true or nil,
    })
  end
  return host
end

--- ---- methods

local function least_time(d)
  local by, inflight = d.args[1], d.args[2]
  if by ~= "header" and by ~= "last_byte" then
    return nil, ('invalid value "%s"'):format(by)
  elseif inflight and inflight ~= "inflight" then
    return nil, ('invalid parameter "%s"'):format(inflight)
  end
  return { balance = "least_time", balance_by = by, balance_inflight = inflight and true or nil }
end

local better = { least_conn = "conns", ["least_time=header"] = "header", ["least_time=last_byte"] = "last_byte" }

local function random(d)
  local two, by = d.args[1], d.args[2]
  if two and two ~= "two" then
    return nil, ('invalid parameter "%s"'):format(two)
  elseif by and not better[by] then
    return nil, ('invalid parameter "%s"'):format(by)
  end
  return { balance = "random", balance_two = two and true or nil, balance_by = better[by or "least_conn"], no_backup = true }
end

local function hash(d)
  if d.args[2] and d.args[2] ~= "consistent" then
    return nil, ('invalid parameter "%s"'):format(d.args[2])
  end
  return { balance = d.args[2] and "hash_ring" or "hash_mod", hash_key = d.args[1], no_backup = true }
end

local methods = {
  ip_hash = { args = 0, parse = function()
    return { balance = "ip_hash", no_backup = true }
  end },
  least_conn = { args = 0, parse = function()
    return { balance = "least_conn" }
  end },
  least_time = { args = { 1, 2 }, parse = least_time },
  hash = { args = { 1, 2 }, parse = hash },
  random = { args = { 0, 2 }, parse = random },
}

--- A method's entry: the last one said is in force, as with nginx, which warns of it.
local function method(entry)
  return {
    where = "upstream", args = entry.args,
    parse = function(d, scope, c)
      local v, err = entry.parse(d)
      if v then
        if scope.method then
          c:warn(d, "load balancing method redefined")
        elseif scope.keepalive_said then
          c:warn(d, 'load balancing method should be before "keepalive"')
        end
        scope.method = v
      end
      return v, err
    end,
  }
end

--- ---- the rest

local function zone(d)
  local size = d.args[2] and units.bytes(d.args[2])
  if d.args[1] == "" then
    return nil, ('invalid zone name "%s"'):format(d.args[1])
  elseif d.args[2] and not size then
    return nil, ('invalid zone size "%s"'):format(d.args[2])
  elseif size and size < 32768 then
    return nil, ('zone "%s" is too small'):format(d.args[1])
  end
  return { name = d.args[1], size = size }
end

local function keepalive(d)
  local n = units.integer(d.args[1])
  if not n then
    return nil, ('invalid value "%s" in "keepalive" directive'):format(d.args[1])
  elseif d.args[2] and d.args[2] ~= "local" then
    return nil, ('invalid parameter "%s"'):format(d.args[2])
  end
  return n
end

--- One zone of the model for each name; its size may be said in another group that uses it.
local function zone_index(scope, c)
  local z = scope:own("zone")
  if not z then
    return nil
  end
  local index, made = c:intern("zones", "peers:" .. z.name, { name = z.name, kind = "peers", size = z.size })
  made = made or c.gateway.zones[index + 1]
  made.size = made.size or z.size
  return index
end

local function names(scope, u, c)
  local own = scope:own("resolver") or scope.parent:get("resolver")
  u.resolver = resolver.index(own, scope:own("resolver_timeout") or scope.parent:get("resolver_timeout"), c)
  u.dns_empty = true
end

local function servers(scope, u, c)
  local m, primaries = scope.method or {}, 0
  for i, p in ipairs(scope:own("server") or {}) do
    local d = scope.server_nodes[i]
    if p.backup and m.no_backup then
      c:error(d, 'balancing method does not support parameter "backup"')
    end
    if p.resolve and not scope:own("zone") then
      c:error(d, 'resolving names at run time requires upstream "%s" to be in shared memory', u.name)
    end
    if p.service and not p.resolve then
      c:error(d, 'service upstream "%s" requires "resolve" parameter', p.text)
    end
    add_peers(u, p, d, c)
    if p.resolve and not u.resolver then
      c:error(d, 'no resolver defined to resolve names at run time in upstream "%s"', u.name)
    end
    primaries = primaries + (p.backup and 0 or 1)
  end
  if primaries == 0 then
    c:error(scope.node, 'no servers in upstream "%s"', u.name)
  end
end

local function upstream(scope, u, c)
  if not scope:own("server") then
    return c:error(scope.node, "no servers are inside upstream")
  end
  local m = scope.method or { balance = "round_robin" }
  u.balance, u.balance_by, u.balance_two = m.balance, m.balance_by, m.balance_two
  u.balance_inflight, u.hash_key = m.balance_inflight, m.hash_key
  u.zone = zone_index(scope, c)
  u.keepalive_idle = scope:own("keepalive") or 32
  u.keepalive_requests, u.keepalive_timeout = scope:own("keepalive_requests") or 1000, scope:own("keepalive_timeout") or 60000
  u.keepalive_time = scope:own("keepalive_time") or 3600000
  names(scope, u, c)
  servers(scope, u, c)
end

--- What every group of this dialect has, those behind URLs of proxy_pass too.
local function gateway(_, g, c)
  for _, z in ipairs(g.zones or {}) do
    if z.kind == "peers" and not z.size then
      c:error(nil, 'zone "%s" has no size', z.name)
    end
  end
  for _, u in ipairs(g.upstreams or {}) do
    u.passive, u.balance, u.retry_budget = "nginx", u.balance or "round_robin", 0
    u.passive_fails, u.passive_window = 1, 10000
    u.keepalive_idle = u.keepalive_idle or 0
  end
end

--- Keeps where each server line stands.
local function server_entry(d, scope)
  scope.server_nodes = scope.server_nodes or {}
  table.insert(scope.server_nodes, d)
  return server(d)
end

local directives = {
  upstream = { where = "http", args = 1, block = "upstream" },
  server = { where = "upstream", args = "1+", many = true, parse = server_entry },
  zone = { where = "upstream", args = { 1, 2 }, parse = zone },
  keepalive = { where = "upstream", args = { 1, 2 }, parse = function(d, scope)
    scope.keepalive_said = true
    return keepalive(d)
  end },
  keepalive_requests = { where = "upstream", args = 1, parse = units.number },
  keepalive_time = { where = "upstream", args = 1, parse = units.time },
  keepalive_timeout = { where = "upstream", args = 1, parse = units.time },
}
for name, entry in pairs(methods) do
  directives[name] = method(entry)
end

return { directives = directives, upstream = upstream, gateway = gateway }

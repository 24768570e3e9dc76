--- Upstream groups of the model.
local M = {}

--- The name a certificate must carry: said, or the one host name of all peers; else the Host sent (nil).
local function tls_name(c, d, o, peers)
  if o.tls and o.tls.name then
    return o.tls.name
  end
  local name
  for _, p in ipairs(peers) do
    if p.host and name and p.host ~= name then
      c:report(d.at, ("the peers of %s have different host names; which one is in their certificates?"):format(c.loader:title(d)),
        { hint = 'say tls = { name = "…" }' })
      return name
    end
    name = name or p.host
  end
  return name
end

local function tls_fields(c, u, d, o, peers)
  local any, all = false, true
  for _, p in ipairs(peers) do
    any, all = any or p.tls, all and p.tls
  end
  if any and not all and o.tls == nil then
    c:report(d.at, ("%s mixes peers with and without https"):format(c.loader:title(d)))
  end
  u.tls = o.tls ~= false and (any or o.tls ~= nil) or nil
  if not u.tls then
    return
  end
  u.tls_name = tls_name(c, d, o, peers)
  local t = o.tls or {}
  u.tls_verify = t.verify
  for option, name in pairs { ca = "tls_ca_pem", cert = "tls_cert_pem", key = "tls_key_pem" } do
    if t[option] then
      u[name] = c:read_pem(t, option)
    end
  end
end

--- The longest name of a service that a check asks for.
local SERVICE_MAX = 255

local function grpc_check(c, u, d, o)
  local a = o.health and o.health.active
  if not a or not (a.type == "grpc" or a.service) then
    return
  end
  local at = { holder = d.body, key = "health", decl = d }
  if a.type ~= "grpc" then
    c:report(at, "health.active.service is for checks of type = \"grpc\"")
  elseif #(a.service or "") > SERVICE_MAX then
    c:report(at, ("health.active.service is longer than %d bytes"):format(SERVICE_MAX))
  elseif u.tls and not u.http2 then
    c:report(at, "checks of type = \"grpc\" need HTTP/2 to the peers", { hint = "add http2 = true" })
  end
  u.check_service = a.service
end

local function active(u, a)
  u.check = a.type or "http"
  u.check_path, u.check_method, u.check_host, u.check_port = a.path, a.method, a.host, a.port
  u.check_every, u.check_timeout, u.check_jitter, u.check_rise, u.check_fall = a.every, a.timeout, a.jitter, a.rise, a.fall
  local expect = a.expect or {}
  u.check_body = expect.body
  if expect.status then
    u.check_status = {}
    for i, status in ipairs(expect.status) do
      u.check_status[i] = tostring(status)
    end
  end
  if a.headers then
    u.check_headers = {}
    for name, value in pairs(a.headers) do
      table.insert(u.check_headers, name .. ": " .. value)
    end
    table.sort(u.check_headers)
  end
end

local function outlier(u, x)
  u.outlier_window, u.outlier_requests, u.outlier_errors = x.window or 10000, x.requests, x.errors
  u.outlier_latency, u.outlier_out, u.outlier_out_max, u.outlier_share = x.latency, x.out, x.max_out, x.share
end

local function health(u, o)
  local h = o.health or {}
  if h.active then
    active(u, h.active)
  end
  if h.outlier then
    outlier(u, h.outlier)
  end
  u.slow_start = h.slow_start
  local passive = o.health and o.health.passive
  if passive == false then
    u.passive_fails = 0
  elseif passive then
    u.passive_fails, u.passive_window = passive.fails, passive.window
    if passive.panic then
      u.panic_percent = passive.panic
    end
  end
  if o.retry_budget ~= nil then
    u.retry_budget = o.retry_budget or 0
  end
end

local function keepalive(u, o)
  local k = o.keepalive
  if k == false then
    u.keepalive_idle = 0
  elseif k then
    u.keepalive_idle, u.keepalive_requests, u.keepalive_timeout = k.idle, k.requests, k.timeout
    u.keepalive_time = k.age
  end
end

local function balance(c, u, d, o)
  u.balance, u.hash_key = o.balance, o.hash
  if o.hash and not o.balance then
    u.balance = "hash"
  elseif o.balance == "hash" and not o.hash then
    c:report({ holder = d.body, key = "balance", decl = d }, 'balance = "hash" needs to know what is hashed',
      { hint = 'add hash = "$remote_addr"' })
  end
end

local function peer_of(p)
  return {
    address = p.address, weight = p.weight, backup = p.backup, down = p.down, max_conns = p.max_conns, fails = p.fails, window = p.window,
    service = p.service, label = p.service and "srv://" .. p.address or nil,
  }
end

--- The model's group for declaration `d` with typed options `o`.
---@param c table
---@param d conf.Decl
---@param o table
---@return table
function M.build(c, d, o)
  local u = { name = d.name, peers = {}, label = ("%s:%d"):format(d.at.file, d.at.line) }
  local peers = {}
  for i, p in ipairs(o) do
    peers[i], u.peers[i] = p, peer_of(p)
  end
  if #peers == 0 and d.body and #d.body == 0 then
    c:report(d.at, ("%s has no peers"):format(c.loader:title(d)), { hint = 'add "127.0.0.1:3000"' })
  end
  balance(c, u, d, o)
  keepalive(u, o)
  health(u, o)
  tls_fields(c, u, d, o, peers)
  u.http2 = o.http2
  for _, p in ipairs(peers) do
    u.http2 = u.http2 == nil and p.http2 or u.http2
  end
  grpc_check(c, u, d, o)
  return u
end

--- Options of the group behind a URL.
function M.of_url(url)
  return { http2 = url.http2, { address = url.address, tls = url.tls, host = url.host, service = url.service } }
end

return M

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

local function health(u, o)
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
  if #peers == 0 and #d.body == 0 then
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
  return u
end

--- Options of the group behind a URL.
function M.of_url(url)
  return { http2 = url.http2, { address = url.address, tls = url.tls, host = url.host } }
end

return M

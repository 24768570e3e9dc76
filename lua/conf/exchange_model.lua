--- What a route's exchanges with the upstream do beyond the usual: the `exchange` of the model, which most routes have none of.
local rule_types = require "conf.rule_types"

local M = {}

local function exchange(r)
  r.exchange = r.exchange or { {} }
  return r.exchange[1]
end

local function redirects(r, o)
  local rules = o.rewrite_location
  if type(rules) ~= "table" then
    r.rewrite_location = rules
    return
  end
  r.rewrite_location = false
  local list = {}
  for i, rule in ipairs(rule_types.sorted(rules)) do
    list[i] = { from = rule.from, is_regex = rule.is_regex, caseless = rule.caseless, to = rule.to }
  end
  if list[1] then
    exchange(r).redirects = list
  end
end

local parts = { "domain", "path", "flags" }

local function cookies(r, o)
  local list = {}
  for _, part in ipairs(parts) do
    for _, rule in ipairs(rule_types.sorted(o.cookies and o.cookies[part])) do
      local from, to = rule.from, rule.to
      if part == "domain" and not rule.is_regex then -- the dot of the cookie stays, that of the rule says nothing
        from, to = from:gsub("^%.", ""), to:gsub("^%.", "")
      elseif part == "flags" then
        to = table.concat(to, " ")
      end
      local caseless = rule.caseless or rule.is_regex and part == "domain" or nil
      list[#list + 1] = { part = part, from = from, is_regex = rule.is_regex, caseless = caseless, to = to }
    end
  end
  if list[1] then
    exchange(r).cookies = list
  end
end

local function send(r, o)
  local s = o.send
  if not s or not next(s) then
    return
  end
  local x = exchange(r)
  x.method, x.bind, x.socket_keepalive = s.method, s.from or nil, s.tcp_keepalive
  x.ignore_abort = s.finish
  if s.body == false then
    x.send_body = false
  else
    x.body = s.body
  end
  if s.headers == false then
    x.send_headers = false
  end
end

--- Fields of the upstream's answer, and what comes beside its head.
local function answer_fields(r, o)
  local u = o.upstream_headers or {}
  r.hide_headers = u.hide or nil
  if u.show or u.ignore or u.trailers ~= nil or u.early_hints ~= nil or u.accel_redirect then
    local x = exchange(r)
    x.show_headers, x.trailers, x.interim = u.show or nil, u.trailers, u.early_hints
    x.ignore_headers = u.ignore or nil
  end
end

--- X-Accel-Redirect leads into the site only where that was asked for: an exchange would follow it.
local function accel(r, o)
  local u = o.upstream_headers or {}
  if r.exchange and not u.accel_redirect then
    local x, list = r.exchange[1], { "X-Accel-Redirect" }
    for _, name in ipairs(x.ignore_headers or {}) do
      list[#list + 1] = name
    end
    x.ignore_headers = list
  end
end

--- TLS settings that the group itself has no fields for; groups are built after routes, so this is settled in `finish`.
local function tls(c, r, d)
  local t = d.options and d.options.tls
  if type(t) ~= "table" or not (t.crl or t.depth or t.protocols or t.ciphers or t.sni == false or t.resume == false) then
    return
  end
  c.late_tls = c.late_tls or {}
  table.insert(c.late_tls, { exchange = exchange(r), decl = d })
end

local function tlsclient(c, u, t)
  return {
    verify = t.verify, verify_depth = t.depth, name = u.tls_name, sni = t.sni, ciphers = t.ciphers, session_reuse = t.resume,
    protocols = t.protocols and table.concat(t.protocols, " "), ca_pem = u.tls_ca_pem, cert_pem = u.tls_cert_pem, key_pem = u.tls_key_pem,
    crl_pem = t.crl and c:read_pem(t, "crl"),
  }
end

--- After the groups: one set of TLS settings for each group whose routes need one.
---@param c table
function M.finish(c)
  local made = {}
  for _, late in ipairs(c.late_tls or {}) do
    local u = c.model.upstreams[late.decl.handle.index + 1]
    if u.tls and not made[u] then
      made[u] = #c:model_list("tlsclients")
      table.insert(c.model.tlsclients, tlsclient(c, u, late.decl.options.tls))
    end
    late.exchange.tls = made[u]
  end
end

--- Resolvers are named by index; the gateway's own is made one when somebody needs that.
local function resolver(c)
  local list = c:model_list("resolvers")
  list[1] = list[1] or { servers = c.model.resolver }
  return 0
end

local function made_target(c, r, url)
  local x = exchange(r)
  x.target, r.resolver = url, resolver(c)
  if not url:find("^http://") then -- https, or nobody knows yet
    local list = c:model_list("tlsclients")
    if not c.made_tls then
      list[#list + 1] = { verify = true, name = "$proxy_host", sni = true }
      c.made_tls = #list - 1
    end
    x.tls = c.made_tls
  end
end

--- Fills what belongs to the exchange of a route that has an upstream.
---@param c table
---@param r table      the route of the model
---@param o table      options as they hold
function M.fill(c, r, o)
  redirects(r, o)
  cookies(r, o)
  send(r, o)
  answer_fields(r, o)
  if o.errors and o.errors.intercept then
    exchange(r).intercept_errors = true
  end
  if o.proxy and o.proxy.target then
    made_target(c, r, o.proxy.target)
  elseif o.proxy then
    tls(c, r, c.loader.decl_of[o.proxy.upstream])
  end
  accel(r, o)
end

return M

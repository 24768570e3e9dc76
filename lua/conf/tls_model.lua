--- Certificates of sites, and what a site says about TLS beside them.
local M = {}

--- A PEM file; `t[key]` is its path. nil after a report.
---@param c table
function M.install(c)
  function c:read_pem(t, key, at)
    local bytes, err = self.loader:read(t[key], "")
    if not bytes then
      return self:report(at or (self.raw[t] and self.raw[t][key] ~= nil and { holder = self.raw[t], key = key }) or t.at, err)
    elseif not bytes:find("-----BEGIN", 1, true) then
      return self:report(at or { holder = self.raw[t], key = key }, ("'%s' is no PEM file"):format(t[key]))
    end
    return bytes
  end
end

local function tls_check()
  local ok, core = pcall(require, "moongate.core")
  return ok and type(core) == "table" and core.tls_check or nil
end

--- Does the pair belong together, and is it for the hosts? The first is an error; the second may be wanted (tests, a certificate on its
--- way), so it is a warning.
local function judge_pair(c, judge, pair, cert, key, names)
  for _, host in ipairs(names) do
    local name = host ~= "*" and host:gsub("^%*%.", "any.") or nil
    local fits, err = judge(cert, key, name, pair.cert, pair.key)
    if fits == nil then
      c:report(pair.at, err or ("'%s' and '%s' do not belong together"):format(pair.cert, pair.key))
      return
    elseif not fits then
      c:report(pair.at, ("the certificate '%s' is not for '%s'"):format(pair.cert, host), { level = "warn" })
    end
  end
end

local verify_words = { off = "off", optional = "optional", on = "on", any = "optional_no_ca" }

local function client(c, p, o, at)
  p.verify = verify_words[o.verify or o.ca and "on" or "off"]
  p.depth = o.depth
  p.client_ca_pem = o.ca and c:read_pem(o, "ca")
  p.trusted_pem = o.trust and c:read_pem(o, "trust")
  p.crl_pem = o.crl and c:read_pem(o, "crl")
  if (p.verify == "on" or p.verify == "optional") and not o.ca and not o.trust then
    c:report(at, "client certificates are judged by authorities, and there are none", { hint = 'add ca = "clients.pem"' })
  end
end

local function session(p, o)
  p.cache = o.cache == false and "none" or o.cache and "shared" or nil
  p.cache_name = o.cache or nil
  p.session_timeout, p.tickets = o.timeout, o.tickets
end

local own = { "client", "session", "curves", "dhparam", "prefer_server", "reject", "passwords" }

--- A site's own settings, chosen by the name that the client asks for: from the first certificate that says some.
local function policy(c, site, pair)
  local any = false
  for _, name in ipairs(own) do
    any = any or pair[name] ~= nil
  end
  if not any or site.model.tls_policy then
    return
  end
  local p = {
    protocols = pair.protocols and table.concat(pair.protocols, " "), ciphers = pair.ciphers, prefer_server = pair.prefer_server,
    groups = pair.curves and table.concat(pair.curves, ":"), reject = pair.reject, passwords = pair.passwords,
    dhparam_pem = pair.dhparam and c:read_pem(pair, "dhparam"),
  }
  if pair.client then
    client(c, p, pair.client, { holder = c.raw[pair], key = "client" })
  end
  session(p, pair.session or {})
  site.model.tls_policy = { p }
end

--- Certificates of a site, and its TLS settings.
---@param c table
---@param site table   { tls, names, model }
function M.fill(c, site)
  local certs, names = {}, site.names
  local judge = tls_check()
  for _, pair in ipairs(site.tls) do
    local cert, key = nil, nil
    if pair.cert then
      cert, key = c:read_pem(pair, "cert"), c:read_pem(pair, "key")
    end
    if cert and key then
      if judge then
        judge_pair(c, judge, pair, cert, key, names)
      end
      certs[#certs + 1] = { cert_pem = cert, key_pem = key, cert_file = pair.cert, key_file = pair.key }
    end
    policy(c, site, pair)
  end
  site.model.certs = certs[1] and certs or nil
end

--- Where one site has TLS settings of its own all of them have: the core looks either at sites or at listeners.
---@param sites table[]  { model, tls }
function M.finish(sites)
  local any = false
  for _, site in ipairs(sites) do
    any = any or site.model.tls_policy
  end
  for _, site in ipairs(any and sites or {}) do
    if site.model.certs and not site.model.tls_policy then
      local first = site.tls[1] or {}
      site.model.tls_policy = { {
        protocols = first.protocols and table.concat(first.protocols, " "), ciphers = first.ciphers,
      } }
    end
  end
end

return M

--- TLS of servers: certificates, protocols, sessions, client certificates. A server with a socket that speaks TLS gets a policy of its own.
local resolver = require "nginx.directives.resolver"
local ssl_command = require "nginx.ssl_command"
local units = require "nginx.units"
local way = require "nginx.upstream_way"

local PASSWORDS_MAX = 100

--- A file beside the configuration; its bytes become part of it.
local function pem(d, _, c)
  if d.args[1] == "" then
    return false
  end
  local path = c:conf_path(d.args[1])
  local bytes = c:need_file(path, d)
  return bytes and { path = path, bytes = bytes } or nil
end

--- ssl_certificate and its key: a file, also as "store:file:NAME", or "data:PEM".
local function certificate(d, _, c)
  local name = d.args[1]:gsub("^store:file:", "", 1)
  local data = name:match("^data:(.*)$")
  if name:find("$", 1, true) then
    return { path = name, template = name, at = d }
  elseif data then
    return { path = "data:", bytes = data, at = d }
  end
  local path = c:conf_path(name)
  local bytes, err = c:read(path)
  if not bytes then
    return nil, ('cannot load certificate%s "%s": %s'):format(d.name:find("key", 1, true) and " key" or "", path, err)
  end
  return { path = path, bytes = bytes, at = d }
end

--- The cache's kind and name; sizes are noted only.
local function session_cache(d)
  local kind, name = "none", nil
  for _, word in ipairs(d.args) do
    if word == "off" or word == "none" then
      kind = word
    elseif word == "builtin" or word:match("^builtin:%d+$") then
      kind = kind == "shared" and kind or "builtin"
    else
      local zone, size = word:match("^shared:([^:]+):(%w+)$")
      local bytes = size and units.bytes(size)
      if not bytes then
        return nil, ('invalid session cache "%s"'):format(word)
      elseif bytes < 8 * 4096 then
        return nil, ('session cache "%s" is too small'):format(word)
      end
      kind, name = "shared", zone
    end
  end
  return { kind = kind, name = name }
end

local verify_words = { off = true, on = true, optional = true, optional_no_ca = true }

local function verify(d)
  local word = d.args[1]
  if not verify_words[word] then
    return nil, "invalid value"
  end
  return word
end

local protocol_words = { SSLv2 = true, SSLv3 = true, TLSv1 = true, ["TLSv1.1"] = true, ["TLSv1.2"] = true, ["TLSv1.3"] = true }

local function protocols(d)
  for _, word in ipairs(d.args) do
    if not protocol_words[word] then
      return nil, ('invalid value "%s"'):format(word)
    end
  end
  return table.concat(d.args, " ")
end

local function passwords(d, _, c)
  local bytes = c:need_file(c:conf_path(d.args[1]), d)
  local list = {}
  for line in (bytes or ""):gmatch("[^\r\n]+") do
    if #list < PASSWORDS_MAX then
      list[#list + 1] = line
    end
  end
  return list
end

local function responder(d)
  if not d.args[1]:lower():find("^http://") then
    return nil, ('invalid URL prefix in OCSP responder "%s"'):format(d.args[1])
  end
  return d.args[1]
end

--- It would make servers stricter: who writes it must know that it does not.
local function ocsp(d, _, c)
  if d.args[1] ~= "off" then
    c:warn(d, '"ssl_ocsp" is not supported: whether client certificates were revoked is told by "ssl_crl" only')
  end
  return d.args[1]
end

local function ticket_key(d, _, c)
  local path = c:conf_path(d.args[1])
  local bytes = c:need_file(path, d)
  if bytes and #bytes ~= 48 and #bytes ~= 80 then
    return nil, ('"%s" must be 48 or 80 bytes'):format(path)
  end
  return bytes
end

local function session_timeout(d)
  local ms = units.ms(d.args[1])
  if not ms then
    return nil, "invalid value"
  end
  return ms
end

--- Addresses that speak TLS: one server's "ssl" is that of all who listen there.
local function tls_addresses(http)
  if not http.tls_addresses then
    http.tls_addresses = {}
    for _, server in ipairs(http:each("server")) do
      for _, said in ipairs(server:own("listen") or {}) do
        for _, addr in ipairs(said.tls and said.sockets or {}) do
          http.tls_addresses[addr] = true
        end
      end
    end
  end
  return http.tls_addresses
end

local function speaks_tls(server)
  local known = tls_addresses(server.parent)
  for _, said in ipairs(server:own("listen") or {}) do
    for _, addr in ipairs(said.sockets) do
      if known[addr] then
        return true
      end
    end
  end
  return false
end

local function bytes_of(v)
  return v and v.bytes or nil
end

local function client_certificates(server, p, c)
  p.verify = server:get("ssl_verify_client")
  p.depth = server:get("ssl_verify_depth")
  p.client_ca_pem, p.trusted_pem = bytes_of(server:get("ssl_client_certificate")), bytes_of(server:get("ssl_trusted_certificate"))
  p.crl_pem = bytes_of(server:get("ssl_crl"))
  if server:get("ssl_certificate") and (p.verify == "on" or p.verify == "optional") and not p.client_ca_pem and not p.trusted_pem then
    c:error(server:at("ssl_verify_client"), "no ssl_client_certificate for ssl_verify_client")
  end
end

--- Keys of tickets are made anew when the sessions they carry end: the longest of the servers' that share sessions.
local function rotation(p, c)
  if p.tickets and not p.ticket_keys and p.cache == "shared" then
    c.gateway.ticket_rotation = math.max(c.gateway.ticket_rotation or 1000, p.session_timeout)
  end
end

local function sessions(server, p, c)
  local cache = server:get("ssl_session_cache")
  p.cache, p.cache_name = cache.kind, cache.name
  p.session_timeout = server:get("ssl_session_timeout")
  p.tickets = server:get("ssl_session_tickets")
  p.ticket_keys = server:get("ssl_session_ticket_key")
  rotation(p, c)
end

--- What a handshake asks for: with one name that has variables, the names of all.
local function name_of(v)
  return v.template or v.path == "data:" and "data:" .. v.bytes or v.path
end

local function chosen_later(crts, keys)
  for i, crt in ipairs(crts) do
    if crt.template or keys[i].template then
      return true
    end
  end
  return false
end

local function kept(server, p, c)
  local cache = server:get("ssl_certificate_cache")
  p.folder = c:conf_path("x"):sub(1, -2)
  if cache then
    p.kept, p.kept_unused, p.kept_unseen = cache.max, cache.inactive, cache.valid
  end
end

--- The certificates, the one that commands name after the others: so it counts.
local function pairs_of(server)
  local crts, keys = server:get("ssl_certificate") or {}, server:get("ssl_certificate_key") or {}
  local pair = ssl_command.pair(server:get("ssl_conf_command"))
  if not pair then
    return crts, keys
  end
  crts, keys = { unpack(crts) }, { unpack(keys, 1, #crts) }
  crts[#crts + 1], keys[#keys + 1] = pair.cert, pair.key
  return crts, keys
end

local function certs(server, s, p, c)
  local crts, keys = pairs_of(server)
  if #crts > #keys then
    return c:error(server:at("ssl_certificate"), 'no "ssl_certificate_key" is defined for certificate "%s"', crts[#crts].path)
  end
  local later = chosen_later(crts, keys)
  if later then
    kept(server, p, c)
  end
  for i, crt in ipairs(crts) do
    s.certs = s.certs or {}
    s.certs[i] = later and { cert_name = name_of(crt), key_name = name_of(keys[i]) }
      or { cert_pem = crt.bytes, key_pem = keys[i].bytes, cert_file = crt.path, key_file = keys[i].path }
  end
end

--- ssl_stapling and its kin.
local function staples(server, p, c)
  if not server:get("ssl_stapling") then
    return
  end
  local file = server:get("ssl_stapling_file")
  p.staple, p.staple_verify = true, server:get("ssl_stapling_verify")
  p.staple_file = bytes_of(file)
  p.staple_responder = server:get("ssl_stapling_responder")
  p.staple_like = c:intern("upstreams", "$", way.implicit("$", nil))
  p.staple_resolver = resolver.index(server:get("resolver"), server:get("resolver_timeout"), c)
end

local function site(server, s, c)
  if not speaks_tls(server) then
    return
  end
  local p = {
    protocols = server:get("ssl_protocols"), ciphers = server:get("ssl_ciphers"), prefer_server = server:get("ssl_prefer_server_ciphers"),
    reject = server:get("ssl_reject_handshake"), dhparam_pem = bytes_of(server:get("ssl_dhparam")),
    passwords = server:get("ssl_password_file"),
  }
  local curve = server:get("ssl_ecdh_curve")
  p.groups = curve ~= "auto" and curve or nil
  p.commands = ssl_command.list(server:get("ssl_conf_command"))
  staples(server, p, c)
  client_certificates(server, p, c)
  sessions(server, p, c)
  certs(server, s, p, c)
  s.tls_policy = { p }
end

local everywhere = "http server"

local function entry(args, parse, default, many)
  return { where = everywhere, args = args, parse = parse, default = default, many = many }
end

local function noop(args)
  return { where = everywhere, args = args, noop = true }
end

return {
  directives = {
    ssl_certificate = entry(1, certificate, nil, true),
    ssl_certificate_key = entry(1, certificate, nil, true),
    ssl_password_file = entry(1, passwords),
    ssl_protocols = units.joined(entry("1+", protocols, "TLSv1.2 TLSv1.3")),
    ssl_ciphers = entry(1, units.string, "HIGH:!aNULL:!MD5"),
    ssl_prefer_server_ciphers = entry(1, units.onoff, false),
    ssl_ecdh_curve = entry(1, units.string, "auto"),
    ssl_dhparam = entry(1, pem),
    ssl_session_cache = entry({ 1, 2 }, session_cache, { kind = "none" }),
    ssl_session_timeout = entry(1, session_timeout, 300000),
    ssl_session_tickets = entry(1, units.onoff, true),
    ssl_session_ticket_key = entry(1, ticket_key, nil, true),
    ssl_verify_client = entry(1, verify, "off"),
    ssl_verify_depth = entry(1, units.number, 1),
    ssl_client_certificate = entry(1, pem),
    ssl_trusted_certificate = entry(1, pem),
    ssl_crl = entry(1, pem),
    ssl_reject_handshake = entry(1, units.onoff, false),
    ssl_ocsp = { where = everywhere, args = 1, parse = ocsp, effect = false },
    ssl_stapling = entry(1, units.onoff, false),
    ssl_stapling_file = entry(1, pem),
    ssl_stapling_responder = entry(1, responder),
    ssl_stapling_verify = entry(1, units.onoff, false),
    ssl_certificate_cache = entry({ 1, 3 }, units.file_cache()),
    ssl_conf_command = entry(2, ssl_command.parse, nil, true),
    ssl_buffer_size = noop(1), ssl_early_data = noop(1), ssl_ocsp_responder = noop(1),
    ssl_ocsp_cache = noop(1), ssl_certificate_compression = noop(1),
  },
  site = site,
}

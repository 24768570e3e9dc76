--- TLS towards upstreams, as proxy_ssl_* and grpc_ssl_* say. Settings are interned by content, so that locations that say the same
--- share sessions and pooled connections.
local exchange = require "nginx.exchange"
local ssl_command = require "nginx.ssl_command"
local units = require "nginx.units"

local everywhere = "http server location"

local function opt(parse, default, args)
  return { where = everywhere, args = args or 1, parse = parse, default = default }
end

local protocols = { SSLv2 = true, SSLv3 = true, TLSv1 = true, ["TLSv1.1"] = true, ["TLSv1.2"] = true, ["TLSv1.3"] = true }

local function protocol_list(d)
  for _, word in ipairs(d.args) do
    if not protocols[word] then
      return nil, ('invalid value "%s"'):format(word)
    end
  end
  return table.concat(d.args, " ")
end

local function file(d, _, c)
  return d.args[1] ~= "" and c:need_file(c:conf_path(d.args[1]), d) or ""
end

--- Lines of a file of passwords.
local function passwords(d, scope, c)
  local list = {}
  for line in (file(d, scope, c) or ""):gmatch("[^\r\n]+") do
    list[#list + 1] = line
  end
  return list
end

--- A file's bytes, or the template of its name when it has variables, or "" for none. "data:" is text.
local function pem(d, _, c)
  local text = d.args[1]
  if text:find("$", 1, true) then
    return { template = text }
  elseif text == "" or text:sub(1, 5) == "data:" then
    return { bytes = text:gsub("^data:", "", 1) }
  end
  return { bytes = c:need_file(c:conf_path(text), d) }
end

--- What the template is, for names that requests make; they are looked for beside the configuration file.
local function name_of(value)
  if not value or not value.template then
    return value and value.bytes ~= "" and "data:" .. value.bytes or nil
  end
  return value.template
end

local function identity(o, t, c)
  local cert, key = o.get("certificate"), o.get("certificate_key")
  if not cert then
    return
  end
  if cert.template or key and key.template then
    t.cert_file, t.key_file, t.folder = name_of(cert), name_of(key), (c:conf_path("x"):sub(1, -2))
    local cache = o.get("certificate_cache")
    if cache then
      t.kept, t.kept_unused, t.kept_unseen = cache.max, cache.inactive, cache.valid
    end
  elseif cert.bytes ~= "" then
    if not key then
      return c:error(o.at("certificate"), 'no "%s_ssl_certificate_key" is defined for certificate "%s"', o.prefix,
        o.at("certificate").args[1])
    end
    t.cert_pem, t.key_pem = cert.bytes, key.bytes
  end
  t.passwords = o.get("password_file")
end

local function trust(o, t, c)
  t.verify = o.get("verify")
  t.verify_depth = o.get("verify_depth")
  local ca, crl = o.get("trusted_certificate"), o.get("crl")
  t.ca_pem, t.crl_pem = ca ~= "" and ca or nil, crl ~= "" and crl or nil
  if t.verify and not t.ca_pem then
    c:error(o.at("verify"), "no %s_ssl_trusted_certificate for %s_ssl_verify", o.prefix, o.prefix)
  end
end

--- One text that tells settings apart.
local function key_of(t)
  local names, out = {}, {}
  for name in pairs(t) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    local v = t[name]
    out[i] = ("%s=%s"):format(name, type(v) == "table" and table.concat(v, "\1") or tostring(v))
  end
  return table.concat(out, "\2")
end

--- The directives of a prefix in a scope.
local function options(scope, prefix)
  return {
    prefix = prefix,
    get = function(name)
      return scope:get(prefix .. "_ssl_" .. name)
    end,
    at = function(name)
      return scope:at(prefix .. "_ssl_" .. name)
    end,
  }
end

local function settings(o, c)
  local commands = o.get("conf_command")
  local t = {
    name = o.get("name") or "$proxy_host", sni = o.get("server_name"), protocols = o.get("protocols"),
    ciphers = o.get("ciphers"), session_reuse = o.get("session_reuse"), commands = ssl_command.list(commands),
  }
  trust(o, t, c)
  identity(o, t, c)
  local pair = ssl_command.pair(commands)
  if pair then
    t.cert_pem, t.key_pem, t.cert_file, t.key_file = pair.cert.bytes, pair.key.bytes, nil, nil
  end
  return t
end

local function directives(prefix)
  local all = {
    session_reuse = opt(units.onoff, true), protocols = opt(protocol_list, "TLSv1.2 TLSv1.3", "1+"), ciphers = opt(units.string, "DEFAULT"),
    name = opt(units.string), server_name = opt(units.onoff, false), verify = opt(units.onoff, false), verify_depth = opt(units.number, 1),
    trusted_certificate = opt(file), crl = opt(file), certificate = opt(pem), certificate_key = opt(pem), password_file = opt(passwords),
    certificate_cache = opt(units.file_cache(), false, { 1, 3 }), key_log = { where = everywhere, args = 1, noop = true },
    conf_command = { where = everywhere, args = 2, parse = ssl_command.parse, many = true },
  }
  local named = {}
  for name, entry in pairs(all) do
    named[prefix .. "_ssl_" .. name] = entry
  end
  return named
end

--- The module of a prefix, for routes that pass requests on with PREFIX_pass.
---@param prefix string
---@return table
return function(prefix)
  local function route(scope, r, c)
    if not scope:handler(prefix .. "_pass") then
      return
    end
    local x = exchange.of(r)
    local secure = x.secure
    x.secure = nil
    if secure then
      local t = settings(options(scope, prefix), c)
      x.tls = c:intern("tlsclients", key_of(t), t)
    end
  end
  return { directives = directives(prefix), route = route }
end

--- Option types with a meaning of their own: header names and values, listen addresses, networks, policies, peers, certificates.
local t = require "conf.types"
local native = require "conf.native"
local upstreams = require "conf.upstreams"
local listen = require "conf.listen"

local M = {}

local function text(expect, lua, ok, hint)
  return t.custom(expect, lua or "string", { type = "string" }, function(c, v, at, self)
    if type(v) == "string" and ok(v) then
      return v
    end
    return c:bad(at, v, self:words(), hint)
  end)
end

local header_name = text("the name of a header field", nil, function(v)
  return v:match("^[%w!#$%%&'*+%-.^_`|~]+$") ~= nil
end)

--- Fields that belong to the connection: the gateway writes them itself.
local OWN = {
  connection = true, ["keep-alive"] = true, ["transfer-encoding"] = true, ["content-length"] = true, te = true, trailer = true,
  upgrade = true, ["proxy-connection"] = true,
}

M.header_name = t.custom("the name of a header field", "string", { type = "string" }, function(c, v, at)
  if type(v) == "string" and OWN[v:lower()] then
    return c:report(at, ("'%s' belongs to the connection and is written by the gateway itself"):format(v), { on_key = true })
  elseif type(v) == "string" and v:lower() == "host" then
    return c:report(at, "the Host sent upstream is an option of its own", { hint = 'write host = "…"', on_key = true })
  end
  return header_name:check(c, v, at)
end)

M.header_name.fold = true

--- Any field, also those that the gateway writes itself.
M.any_header = header_name

local function clean(v)
  return not v:find("[%z\r\n]")
end

--- A value, or { "value", always = false }: only on successful answers.
M.header_value = t.custom("a string, $variables allowed", "string|{ [1]: string, always: boolean }", { type = "string" },
  function(c, v, at, self)
    local value, always = v, true
    if type(v) == "table" and not c:is_decl(v) then
      value, always = v[1], v.always ~= false
      for key in pairs(v) do
        if key ~= 1 and key ~= "always" then
          return c:report({ holder = v, key = key }, ("unknown option '%s' (valid: always)"):format(tostring(key)), { on_key = true })
        end
      end
    end
    if type(value) == "number" then
      value = tostring(value)
    end
    if type(value) ~= "string" then
      return c:bad(at, v, self:words())
    elseif not clean(value) then
      return c:report(at, ("the value of '%s' contains a line break or NUL"):format(tostring(at.key)))
    end
    local err = t.refusal("template", value, c.names)
    if err then
      return c:report(at, err, { hint = require("conf.blame").hint(err) })
    end
    return { value = value, always = always }
  end)

M.retry_reason = t.custom('"error", "timeout", "non_idempotent" or a status', "string|integer", { type = { "string", "integer" } },
  function(c, v, at, self)
    if v == "error" or v == "timeout" or v == "non_idempotent" then
      return v
    elseif type(v) == "number" and v >= 400 and v <= 599 and v == math.floor(v) then
      return v
    end
    return c:bad(at, v, self:words())
  end)

M.log_path = t.custom('a path or "-"', "string", { type = "string" }, function(c, v, at, self)
  if type(v) ~= "string" or v == "" then
    return c:bad(at, v, self:words())
  end
  return v == "-" and v or c:resolve(v, at.holder)
end)

function M.log_from_path(path, c, at)
  return c:typed({ path = path }, at.holder)
end

--- Lets one value stand for a table with it under `key`.
function M.short_for(key)
  return function(v, c, at)
    return c:typed({ [key] = v }, at.holder)
  end
end

function M.redirect_from_string(to, c, at)
  return c:typed({ to = to }, at.holder)
end

function M.files_from_path(path, c, at)
  return c:typed({ root = path }, at.holder)
end

--- Where a search for files ends.
M.otherwise = t.custom('a path, "@route" or a status', "string|integer", { type = { "string", "integer" } }, function(c, v, at, self)
  if type(v) == "number" and v == math.floor(v) and v >= 200 and v <= 599 then
    return v
  elseif type(v) ~= "string" or not v:find("^[/@$]") then
    return c:bad(at, v, self:words())
  end
  return t.template:check(c, v, at)
end)

M.redirect_status = t.custom("301, 302, 303, 307 or 308", "301|302|303|307|308", { enum = { 301, 302, 303, 307, 308 } },
  function(c, v, at, self)
    if v == 301 or v == 302 or v == 303 or v == 307 or v == 308 then
      return v
    end
    return c:bad(at, v, self:words())
  end)

M.page_status = t.custom('a status from 200 to 599 or "page"', 'integer|"page"', { type = { "integer", "string" } },
  function(c, v, at, self)
    if v == "page" or type(v) == "number" and v == math.floor(v) and v >= 200 and v <= 599 then
      return v
    end
    return c:bad(at, v, self:words())
  end)

--- "allow 10.0.0.0/8", "deny all".
M.access_rule = t.custom('a rule such as "allow 10.0.0.0/8" or "deny all"', "string", { type = "string" }, function(c, v, at, self)
  local verb, from
  if type(v) == "string" then
    verb, from = v:match("^(%a+)%s+(%S+)$")
  end
  if verb ~= "allow" and verb ~= "deny" then
    return c:bad(at, v, self:words())
  elseif from ~= "all" and not M.is_network(from) then
    return c:report(at, ("%q is not a network such as \"10.0.0.0/8\", \"unix:\" or \"all\""):format(from))
  end
  return { allow = verb == "allow", from = from }
end)

--- Bytes a second: a size, or a template that makes one.
M.rate = t.custom('a size such as "500k", or a text with $variables', "string", { type = "string" }, function(c, v, at)
  if type(v) == "string" and v:find("$", 1, true) then
    return t.template:check(c, v, at)
  end
  local bytes = t.size:check(c, v, at)
  return bytes and ("%d"):format(bytes)
end)

--- A path of the site, for sub-requests.
M.own_path = text('a path of this site such as "/auth"', nil, function(v)
  return v:find("^/") ~= nil
end)

M.hook = t.custom("a function", "function", false, function(c, v, at, self)
  if type(v) ~= "function" then
    return c:bad(at, v, self:words())
  end
  local where = c:locate(at)
  return { fn = v, label = where and where.file and ("%s:%d"):format(where.file, where.line) or "?" }
end)

--- What a header field, argument or cookie must be: true (there), false (not there), "text", "~ regex".
M.match_value = t.custom('true, false, a string, or "~ regex"', "boolean|string", { type = { "boolean", "string" } },
  function(c, v, at, self)
    if v == true then
      return { op = "present" }
    elseif v == false then
      return { op = "absent" }
    elseif type(v) == "string" then
      local regex = v:match("^~%s*(.+)$")
      local err = regex and t.refusal("regex", regex)
      if err then
        return c:report(at, err)
      end
      return regex and { op = "regex", value = regex } or { op = "equals", value = v }
    end
    return c:bad(at, v, self:words())
  end)

M.workers = t.custom('"auto" or a number from 1 to 1024', '"auto"|integer', { type = { "string", "integer" } }, function(c, v, at, self)
  if v == "auto" or type(v) == "number" and v >= 1 and v <= 1024 and v == math.floor(v) then
    return v
  end
  return c:bad(at, v, self:words())
end)

M.method = text("a method such as \"GET\"", nil, function(v)
  return v:match("^%u[%u%-_]*$") ~= nil
end, "methods are written in capitals")

local TRUST = {
  ["x-forwarded-for"] = "X-Forwarded-For", ["x-real-ip"] = "X-Real-IP", forwarded = "Forwarded", proxy_protocol = "proxy_protocol",
}

M.trust_header = t.custom('a header name or "proxy_protocol"', "string", { type = "string" }, function(c, v, at, self)
  if type(v) ~= "string" or not v:match("^[%w%-_]+$") then
    return c:bad(at, v, self:words())
  end
  return TRUST[v:lower()] or v
end)

local function ipv4(v)
  local a, b, c, d = v:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return a and tonumber(a) < 256 and tonumber(b) < 256 and tonumber(c) < 256 and tonumber(d) < 256
end

--- An address or a network in CIDR notation, or "unix:".
function M.is_network(v)
  if v == "unix:" then
    return true
  end
  local base, bits = v:match("^([^/]+)/(%d+)$")
  base = base or v
  if ipv4(base) then
    return not bits or tonumber(bits) <= 32
  end
  return base:match("^[%x:]*:[%x:.]*$") ~= nil and (not bits or tonumber(bits) <= 128)
end

M.network = text('a network such as "10.0.0.0/8"', nil, M.is_network)

--- `proxy = …`: { upstream = handle, path = "/base" }.
M.proxy = t.custom('an upstream, its name, or an address such as "http://127.0.0.1:3000"', "conf.Upstream|string", { type = "string" },
  function(c, v, at)
    if v == false then
      return false
    elseif type(v) == "string" and v:find("$", 1, true) then
      local url = t.template:check(c, v, at)
      if url and not (url:find("^https?://") or url:find("^%${?[%w_]+}?$") or url:find("^%${?[%w_]+}?://")) then
        return c:report(at, "an address with $variables begins with http:// or https://", { hint = ("write %q"):format("http://" .. url) })
      end
      return url and c:typed({ upstream = c:made_upstream(at), path = "", target = url }, at.holder)
    end
    local handle, path = c:upstream(v, at)
    if not handle then
      return nil
    end
    path = path or ""
    if path:find("[?#]") then
      return c:report(at, "the address of an upstream has no query")
    end
    return c:typed({ upstream = handle, path = path }, at.holder)
  end)

--- A policy with its options, or only its name.
M.policy = t.custom('a policy such as policy "rate_limit" { … }', "conf.Policy|string", { type = "string" }, function(c, v, at, self)
  if native.kind_of(v) == "policy" then
    return { decl = v, at = at }
  elseif type(v) == "string" then
    local where = c:locate(at)
    return { decl = { kind = "policy", name = v, at = where, arg = where }, at = at }
  end
  return c:bad(at, v, self:words())
end)

M.route = t.custom("a route", "conf.Route", false, function(c, v, at)
  if native.kind_of(v) == "route" then
    return v
  elseif native.is_unknown(v) then
    return nil
  end
  return c:report(at, 'routes are written route "/path" { … }; options name = value')
end)

M.listen = t.custom('an address such as ":8080" or "127.0.0.1:8443 tls"', "string", { type = "string" }, function(c, v, at, self)
  if type(v) ~= "string" then
    return c:bad(at, v, self:words(), type(v) == "number" and ('write ":%d"'):format(v) or nil)
  end
  local spec, err = listen.parse(v)
  if not spec then
    return c:report(at, err)
  end
  spec.at = c:locate(at)
  return spec
end)

--- A peer: "host:port", or { "host:port", weight = 2 }.
function M.peer(kind)
  return t.custom('an address such as "127.0.0.1:3000"', "string|conf.Peer", { type = "string" }, function(c, v, at, self)
    local peer, address = {}, v
    if type(v) == "table" and not c:is_decl(v) then
      peer, address = kind:check(c, v, at), v[1]
      peer[1] = nil
    end
    if type(address) ~= "string" then
      return c:bad(at, v, self:words())
    end
    local url, err = upstreams.parse_url(address)
    if not url then
      return c:report(at, err or ("'%s' is not an address such as \"127.0.0.1:3000\": the port is missing"):format(address))
    elseif url.path ~= "" and url.path ~= "/" then
      return c:report(at, "a peer has no path; write it where the upstream is used")
    end
    peer.address, peer.tls, peer.host, peer.http2, peer.service = url.address, url.tls, url.host, url.http2, url.service
    return peer
  end)
end

--- `tls = …` of a site: always a list of { cert, key, … }.
function M.tls(kind)
  local folder = t.custom("a folder", "string", { type = "string" }, function(c, v, at)
    local dir = c:resolve(v:gsub("/+$", ""), at.holder)
    return c:typed({ cert = dir .. "/fullchain.pem", key = dir .. "/privkey.pem", at = at }, at.holder)
  end)
  local function one(c, v, at)
    if type(v) == "string" then
      return folder:check(c, v, at)
    elseif type(v) ~= "table" or c:is_decl(v) then
      return c:bad(at, v, "a folder or { cert = …, key = … }")
    end
    local pair = kind:check(c, v, at)
    pair.at = at
    if (pair.cert == nil) ~= (pair.key == nil) then
      return c:report(at, ("tls needs both cert and key; %s is missing"):format(pair.cert and "key" or "cert"))
    end
    return pair
  end
  local lua, json = "string|conf.Tls|(string|conf.Tls)[]", { type = { "string", "object", "array" } }
  return t.custom("a folder, { cert = …, key = … }, or a list of them", lua, json, function(c, v, at)
    if v == false then
      return false
    elseif type(v) == "table" and #v > 0 and not c:is_decl(v) then
      local out = {}
      for i, item in ipairs(v) do
        out[#out + 1] = one(c, item, { holder = v, key = i })
      end
      for key in pairs(v) do
        if type(key) ~= "number" then
          c:report({ holder = v, key = key },
            ("'%s' must stand with its certificate: { { cert = …, key = … }, … }"):format(tostring(key)))
        end
      end
      return out
    end
    local pair = one(c, v, at)
    return pair and { pair } or nil
  end)
end

return M

--- Addresses of upstreams as text: "http://127.0.0.1:3000/base", "127.0.0.1:3000", "unix:/run/app.sock".
local M = {}

local default_port = { http = "80", https = "443", h2c = "80", grpc = "80", grpcs = "443" }
local with_tls = { https = true, grpcs = true }
--- HTTP/2 by prior knowledge, or what TLS settles.
local with_h2 = { h2c = true, grpc = true, grpcs = true }

--- Host and port of "host:port", "[::1]:80", "host"; nil when it is none of these.
local function authority(text, port)
  local host, explicit = text:match("^(%[[%x:%.%%]+%]):?(%d*)$")
  if not host then
    host, explicit = text:match("^([%w%-%._]+):?(%d*)$")
  end
  if not host then
    return nil
  end
  local n = explicit ~= "" and explicit or port
  if not n or tonumber(n) > 65535 then
    return nil
  end
  return host .. ":" .. n
end

--- "http://backend/base" read as the name of a group and a path: scheme, name, path; nil for anything with a port.
---@param text string
function M.named(text)
  local scheme, name, path = text:match("^(%a[%w]*)://([%w_%-%.]+)(.*)$")
  if scheme and default_port[scheme] then
    return scheme, name, path
  end
end

---@class conf.Url
---@field tls boolean
---@field http2 boolean|nil  asked for by the scheme
---@field address string   what the core connects to
---@field path string      "" or what follows the authority
---@field origin string    name of the implicit group
---@field service boolean|nil  the address is the name of SRV records
---@field host string|nil  a name (not an address): what a certificate is checked against

--- "srv://_http._tcp.app.internal": SRV records; certificates carry the name behind the two labels of the service.
local function service_url(text, rest)
  local name, path = rest:match("^([^/?#]+)(.*)$")
  local host = name and name:match("^_[%w%-]+%._%a+%.([%w%-._]+)$")
  if not host then
    return nil, ("'%s' is no name of SRV records, such as \"srv://_http._tcp.app.internal\""):format(text)
  end
  return { tls = false, address = name, path = path, origin = "srv://" .. name, host = host, service = true }
end

--- Parses the address of an upstream. nil without a message: not an address at all (a name perhaps).
---@param text string
---@return conf.Url|nil, string|nil err
function M.parse_url(text)
  local scheme, rest = text:match("^(%a[%w+.-]*)://(.*)$")
  if scheme == "srv" then
    return service_url(text, rest)
  elseif scheme and not default_port[scheme:lower()] then
    local known = "http://, https://, h2c://, grpc://, grpcs:// or srv://"
    return nil, ("'%s' has scheme %s; an upstream is reached by %s"):format(text, scheme, known)
  end
  scheme = scheme and scheme:lower()
  rest = rest or text
  local unix = rest:match("^unix:(/[^:]*)")
  if unix then
    local path = rest:match("^unix:[^:]*:(/.*)$") or ""
    return {
      tls = with_tls[scheme] or false, http2 = with_h2[scheme], address = "unix:" .. unix, path = path,
      origin = (scheme or "http") .. "://unix:" .. unix,
    }
  end
  local auth, path = rest:match("^([^/?#]+)(.*)$")
  local address = auth and authority(auth, scheme and default_port[scheme])
  if not address then
    if scheme then
      return nil, ("'%s' is not an address such as \"http://127.0.0.1:3000\""):format(text)
    end
    return nil
  end
  local host = address:match("^(.*):%d+$")
  if host:match("^%[") or host:match("^%d+%.%d+%.%d+%.%d+$") then
    host = nil
  end
  return {
    tls = with_tls[scheme] or false, http2 = with_h2[scheme], address = address, path = path,
    origin = (scheme or "http") .. "://" .. address, host = host,
  }
end

return M

--- Listen addresses: parsing "127.0.0.1:8443 tls", and which sites are served on which socket.
---
--- A site with certificates listens on ":443 tls" and, for the redirect, on ":80"; one without on ":80". `listen` on the gateway or on
--- the site replaces that. On a plain socket a TLS site answers with a redirect (http_redirect = false: it is served there too);
--- a site without certificates is not served on TLS sockets. An address without a host (":80") is every address, IPv4 and IPv6: two
--- sockets, the second only where the kernel has IPv6.
local M = {}

local flags = { tls = "tls", proxy_protocol = "proxy_protocol" }

local function address_of(text)
  if text:match("^unix:/.+") then
    return text
  end
  local host, port = text:match("^(.*):(%d+)$")
  if not host and text:match("^%d+$") then
    host, port = "", text
  end
  if not host or tonumber(port) > 65535 then
    return nil
  end
  if host == "" or host == "*" then
    return "0.0.0.0:" .. port, port, tonumber(port) > 0 and "[::]:" .. port or nil
  elseif host:match("^%[[%x:.]+%]$") or host:match("^[%w%-.]+$") then
    return host .. ":" .. port, port
  end
  return nil
end

--- Parses one entry of `listen`.
---@param text string
---@return { address: string, twin: string|nil, port: string|nil, tls: boolean, proxy_protocol: boolean }|nil, string|nil err
function M.parse(text)
  local first, rest = text:match("^%s*(%S+)(.*)$")
  local address, port, twin
  if first then
    address, port, twin = address_of(first)
  end
  if not address then
    return nil, ('"%s" is not a listen address such as ":8080", "127.0.0.1:8443 tls" or "unix:/run/x.sock"'):format(text)
  end
  local spec = { address = address, twin = twin, port = port, tls = false, proxy_protocol = false, text = text }
  for word in rest:gmatch("%S+") do
    if not flags[word] then
      return nil, ("'%s' is not understood in a listen address (valid: tls, proxy_protocol)"):format(word)
    end
    spec[word] = true
  end
  return spec
end

return M

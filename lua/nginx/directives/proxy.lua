--- proxy_*: where requests go and what is asked there.

--- proxy_pass URL: { scheme, host, uri }
local function proxy_pass(d)
  local scheme, rest = d.args[1]:match("^(https?)://(.*)$")
  if not scheme then
    return nil, "invalid URL prefix"
  end
  local host, uri = rest:match("^(unix:[^:]+):?(.*)$")
  if not host then
    host, uri = rest:match("^([^/?]*)(.*)$")
  end
  if host == "" then
    return nil, ('no host in upstream "%s"'):format(d.args[1])
  end
  return { scheme = scheme, host = host, uri = uri ~= "" and uri or nil }
end

--- The group of a URL: one that has the name, else one made of the address.
local function group(c, p)
  local index = c:upstream_ref(p.host)
  if index then
    return index
  end
  local address = p.host
  if not address:find("^unix:") and not address:find(":%d+$") then
    address = address .. (p.scheme == "https" and ":443" or ":80")
  end
  return (c:intern("upstreams", p.scheme .. "://" .. address, {
    name = p.host, peers = { { address = address } }, tls = p.scheme == "https" or nil,
  }))
end

local function route(scope, r, c)
  local p = scope:handler("proxy_pass")
  if not p then
    return
  end
  r.action, r.upstream = "proxy", group(c, p)
  r.host_header = p.host
  r.forwarded, r.websocket = false, false
  if p.uri then
    r.strip, r.strip_path, r.add_path = true, scope.match and scope.match.pattern or "", p.uri
  end
end

return {
  directives = {
    proxy_pass = { where = "location if limit_except", args = 1, parse = proxy_pass },
  },
  route = route,
}

--- What proxy_pass and grpc_pass have in common: addresses, their groups, when another server is asked.
local M = {}

--- "unix:/path:/uri", "host:port/uri": authority and URI.
function M.split(rest)
  local host, uri = rest:match("^(unix:[^:]+):?(.*)$")
  if not host then
    host, uri = rest:match("^([^/?#]*)(.*)$")
  end
  return host, uri
end

function M.has_bad_port(host)
  local port = host:match("^[^%[:]*:(.*)$") or host:match("^%[.*%]:(.*)$")
  return port and not host:find("^unix:") and (not port:find("^%d+$") or tonumber(port) > 65535)
end

--- The numbers of a group that no upstream {} describes.
function M.implicit(name, address)
  return {
    name = name, peers = address and { { address = address, fails = 1, window = 10000 } } or {}, balance = "round_robin",
    keepalive_idle = 0, passive_fails = 1, passive_window = 10000, panic_percent = 0, retry_budget = 0,
  }
end

--- The group of a URL: one that has the name, else one made of the address.
function M.group(c, p)
  local index = c:upstream_ref(p.host)
  if index then
    return index
  end
  local address = p.host
  if not address:find("^unix:") and not address:find(":%d+$") then
    address = address .. (p.scheme == "https" and ":443" or ":80")
  end
  return (c:intern("upstreams", address, M.implicit(address, address)))
end

local bits = {
  error = 1, timeout = 2, invalid_header = 4, http_500 = 8, http_502 = 16, http_503 = 32, http_504 = 64, http_403 = 128, http_404 = 256,
  http_429 = 512, non_idempotent = 1024, off = 2048, updating = 0,
}

--- error | timeout | ...: a mask.
function M.next_upstream(d)
  local mask, seen = 0, {}
  for _, word in ipairs(d.args) do
    local bit = bits[word]
    if not bit then
      return nil, ('invalid value "%s"'):format(word)
    end
    mask = mask + (seen[word] and 0 or bit)
    seen[word] = true
  end
  return seen.off and bits.off or mask > 0 and mask or bits.off
end

--- Waits and attempts of a route. `kind`: "proxy" or "grpc", the beginning of the directives' names.
function M.times(scope, r, kind)
  r.connect_timeout, r.send_timeout = scope:get(kind .. "_connect_timeout"), scope:get(kind .. "_send_timeout")
  r.read_timeout = scope:get(kind .. "_read_timeout")
  r.tunnel_idle = r.read_timeout
  r.tries = scope:get(kind .. "_next_upstream_tries")
end

--- What is unusual about its exchanges, for both kinds.
function M.exchange(scope, x, kind)
  x.own_connection, x.first_only = true, true
  x.retry_on, x.retry_for = scope:get(kind .. "_next_upstream"), scope:get(kind .. "_next_upstream_timeout")
  local to = scope:get(kind .. "_bind")
  x.bind = to ~= "" and to or nil
  x.socket_keepalive = scope:get(kind .. "_socket_keepalive")
  x.intercept_errors = scope:get(kind .. "_intercept_errors")
  x.interim, x.hints = false, {}
  for i, value in ipairs(scope:get("early_hints") or {}) do
    x.hints[i] = { value = value }
  end
end

function M.bind(d)
  if d.args[2] and d.args[2] ~= "transparent" then
    return nil, ('invalid parameter "%s"'):format(d.args[2])
  end
  return d.args[1] == "off" and "" or d.args[1]
end

return M

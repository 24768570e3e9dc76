--- server {}: names and sockets. Which server gets a connection is worked out in nginx/listeners.lua.
local units = require "nginx.units"
local address = require "nginx.address"

--- Options of `listen` without a value.
local flags = {
  default_server = "default", default = "default", ssl = "tls", http2 = "http2", proxy_protocol = "proxy_protocol", bind = "bind",
  reuseport = "reuseport", deferred = "deferred", multipath = "multipath",
}

--- Those that are about the socket, which may be said once for an address.
local of_socket = { bind = true, reuseport = true, deferred = true, multipath = true }

local function text(v)
  return v
end

local function positive(v)
  local n = units.integer(v)
  return n and n > 0 and n or nil
end

--- name=value options, all about the socket.
local valued = {
  backlog = positive, rcvbuf = units.bytes, sndbuf = units.bytes, fastopen = positive, setfib = units.integer, so_keepalive = text,
  accept_filter = text,
  ipv6only = function(v)
    return (v == "on" or v == "off") and v or nil
  end,
}

local function option(l, word)
  local key, value = word:match("^([%w_]+)=(.*)$")
  if flags[word] then
    l[flags[word]] = true
    l.options = l.options or of_socket[word]
    return
  elseif word == "quic" then
    return 'the "quic" parameter requires ngx_http_v3_module'
  elseif not key or not valued[key] then
    return ('invalid parameter "%s"'):format(word)
  end
  l[key] = valued[key](value)
  if l[key] == nil then
    return ('invalid %s "%s"'):format(key, value)
  end
  l.options = true
end

--- The address of a host name, from /etc/hosts.
local function lookup(c)
  return function(host)
    if host == "localhost" then
      return "127.0.0.1"
    end
    for line in (c:read("/etc/hosts") or ""):gmatch("[^\n]+") do
      local ip, names = line:gsub("#.*", ""):match("^%s*(%d+%.[%d.]+)%s+(.*)$")
      for name in (names or ""):gmatch("%S+") do
        if name == host then
          return ip
        end
      end
    end
  end
end

--- listen ADDRESS[:PORT] [options]: { sockets = { address… }, flags }
local function listen(d, scope, c)
  local sockets, err = address.parse(d.args[1], { port = 80, listen = true, lookup = lookup(c) })
  if not sockets then
    return nil, ('%s in "%s" of the "listen" directive'):format(err, d.args[1])
  end
  local l = { sockets = sockets, at = d, server = scope }
  for i = 2, #d.args do
    err = option(l, d.args[i])
    if err then
      return nil, err
    end
  end
  if l.http2 then
    c:warn(d, 'the "listen ... http2" directive is deprecated, use the "http2" directive instead')
  end
  return l
end

local function hostname(c)
  local name = c:read("/proc/sys/kernel/hostname")
  return name and name:gsub("%s+$", ""):lower() or ""
end

local function server_name(d, scope, c)
  scope.names = scope.names or {}
  for i, name in ipairs(d.args) do
    if name == "~" then
      return nil, 'empty regex in server name "~"'
    elseif name:find("/", 1, true) and not name:find("^~") then
      c:warn(d.args_at[i], 'server name "%s" has suspicious symbols', name)
    end
    table.insert(scope.names, name == "$hostname" and hostname(c) or name:find("^~") and name or name:lower())
  end
  return d.args
end

local function site(server, s)
  server.names = server.names or { "" }
  s.names = server.names
end

return {
  directives = {
    server = { where = "http", args = 0, block = "server" },
    listen = { where = "server", args = "1+", many = true, parse = listen },
    server_name = { where = "server", args = "1+", many = true, parse = server_name },
  },
  site = site,
}

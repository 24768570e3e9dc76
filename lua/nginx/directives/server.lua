--- server {}: names, sockets, and what holds for a connection before its server is known.
local units = require "nginx.units"
local address = require "nginx.address"

--- Options of `listen` without a value that change the socket or the protocol on it.
local flags = {
  default_server = "default", default = "default", ssl = "tls", http2 = "http2", proxy_protocol = "proxy_protocol", bind = "bind",
  reuseport = "reuseport", deferred = "deferred", quic = "quic", multipath = "multipath",
}

--- name=value options.
local valued = {
  backlog = units.integer, rcvbuf = units.bytes, sndbuf = units.bytes, fastopen = units.integer, setfib = units.integer,
  ipv6only = function(v)
    return v == "on" or v == "off" and "off" or nil
  end,
  so_keepalive = function(v)
    return v
  end,
  accept_filter = function(v)
    return v
  end,
}

local function option(l, word)
  local key, value = word:match("^([%w_]+)=(.*)$")
  if flags[word] then
    l[flags[word]] = true
    return
  elseif not key or not valued[key] then
    return ('invalid parameter "%s"'):format(word)
  end
  local v = valued[key](value)
  if v == nil or v == 0 and key == "backlog" then
    return ('invalid %s "%s"'):format(key, value)
  end
  l[key] = v
end

--- listen ADDRESS[:PORT] [options]: { sockets = { address… }, flags }
local function listen(d, scope)
  local sockets, err = address.parse(d.args[1], { port = 80, wildcard = true, range = true })
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
  return l
end

local function server_name(d, _, c)
  for i, name in ipairs(d.args) do
    if name:find("/", 1, true) then
      c:warn(d.args_at[i], 'server name "%s" has suspicious symbols', name)
    elseif name:find("^~$") then
      return nil, 'empty regex in server name "~"'
    elseif name:find("%*", 2) and not name:find("^~") and not name:find("%.%*$") or name:find("^%*[^.]") or name == "*" then
      return nil, ('invalid server name or wildcard "%s" on'):format(name)
    end
  end
  return d.args
end

local function site(server, s)
  local lists = server:own("server_name") or { { "" } }
  for _, names in ipairs(lists) do
    for _, name in ipairs(names) do
      s.names[#s.names + 1] = name:find("^~") and name or name:lower()
    end
  end
end

--- Sockets of a server without `listen`.
local function default_listen(server)
  return { { sockets = { "0.0.0.0:80" }, at = server.node, server = server } }
end

--- One entry of the model for an address; later `listen`s with it add their servers.
local function socket(c, by_address, addr)
  local l = by_address[addr]
  if not l then
    l = { address = addr, sites = {} }
    by_address[addr] = l
    table.insert(c.gateway.listens, l)
  end
  return l
end

local function join(l, said, chosen, c)
  local index = said.server.index
  for _, other in ipairs(l.sites) do
    if other == index then
      return c:error(said.at, "a duplicate listen %s", said.at.args[1])
    end
  end
  table.insert(l.sites, index)
  if said.default then
    if chosen[l] then
      return c:error(said.at, "a duplicate default server for %s", said.at.args[1])
    end
    chosen[l] = index
  end
  l.tls = l.tls or said.tls or nil
  l.http2 = l.http2 or said.http2 or nil
  l.proxy_protocol = l.proxy_protocol or said.proxy_protocol or nil
  l.backlog = l.backlog or said.backlog or nil
end

local function gateway(main, g, c)
  local by_address, chosen = {}, {}
  for _, server in ipairs(main.http and main.http:each("server") or {}) do
    for _, said in ipairs(server:own("listen") or default_listen(server)) do
      for _, addr in ipairs(said.sockets) do
        join(socket(c, by_address, addr), said, chosen, c)
      end
    end
  end
  for _, l in ipairs(g.listens) do
    l.default_site = chosen[l] or l.sites[1]
  end
end

return {
  directives = {
    server = { where = "http", args = 0, block = "server" },
    listen = { where = "server", args = "1+", many = true, parse = listen },
    server_name = { where = "server", args = "1+", many = true, parse = server_name },
  },
  site = site,
  gateway = gateway,
}

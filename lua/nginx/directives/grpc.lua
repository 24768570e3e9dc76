--- grpc_pass and what belongs to it: as proxy_pass, over HTTP/2, where nothing is held back and trailers always pass.
local exchange = require "nginx.exchange"
local fields = require "nginx.upstream_fields"
local units = require "nginx.units"
local way = require "nginx.upstream_way"

local everywhere = "http server location"

local function opt(parse, default, args)
  return { where = everywhere, args = args or 1, parse = parse, default = default }
end

local function many(args, parse)
  return { where = everywhere, args = args, many = true, parse = parse }
end

local function noop(args)
  return { where = everywhere, args = args, noop = true }
end

local schemes = { grpc = "http", grpcs = "https" }

--- grpc_pass [grpc:// | grpcs://] ADDRESS: { scheme, host }, or { url } when it has variables.
local function grpc_pass(d)
  local url = d.args[1]
  if url:find("$", 1, true) then
    return { url = url }
  end
  local scheme, rest = url:match("^(%a+)://(.*)$")
  if scheme and not schemes[scheme:lower()] then
    return nil, "invalid URL prefix"
  end
  local host, uri = way.split(rest or url)
  if host == "" then
    return nil, ('no host in upstream "%s"'):format(url)
  elseif way.has_bad_port(host) then
    return nil, ('invalid port in upstream "%s"'):format(url)
  elseif uri ~= "" then
    return nil, ('invalid host in upstream "%s"'):format(url)
  end
  return { scheme = scheme and schemes[scheme:lower()] or "http", host = host }
end

local function target(r, x, p, c)
  x.grpc = true
  if p.url then
    r.upstream = c:intern("upstreams", "$", way.implicit("$", nil))
    x.target, x.secure = p.url, not p.url:find("^[gG][rR][pP][cC]://")
    r.host_header = "$proxy_host"
    return
  end
  r.upstream = way.group(c, p)
  local is_unix = p.host:find("^unix:")
  x.url_host = is_unix and "localhost" or p.host
  x.url_port = p.host:match(":(%d+)$") or (is_unix and "" or p.scheme == "https" and "443" or "80")
  x.secure = p.scheme == "https"
  r.host_header = x.url_host
end

local function route(scope, r, c)
  local p = scope:handler("grpc_pass")
  if not p then
    return
  end
  local x = exchange.of(r)
  r.action = "proxy"
  r.forwarded, r.websocket, r.rewrite_location = false, false, false
  r.upstream_http = "2"
  target(r, x, p, c)
  r.buffer_response, r.buffer_request = false, false
  r.buffer_head = math.max(scope:get("grpc_buffer_size"), 256)
  way.times(scope, r, "grpc")
  way.exchange(scope, x, "grpc")
  fields.request(scope, r, "grpc")
  fields.response(scope, r, x, "grpc")
end

return {
  directives = {
    grpc_pass = { where = "location if limit_except", args = 1, parse = grpc_pass },
    grpc_set_header = many(2),
    grpc_hide_header = many(1, units.string),
    grpc_pass_header = many(1, units.string),
    grpc_ignore_headers = units.joined { where = everywhere, args = "1+", parse = fields.ignored },
    grpc_bind = opt(way.bind, "", { 1, 2 }),
    grpc_socket_keepalive = opt(units.onoff, false),
    grpc_connect_timeout = opt(units.time, 60000),
    grpc_send_timeout = opt(units.time, 60000),
    grpc_read_timeout = opt(units.time, 60000),
    grpc_buffer_size = opt(units.size, 4096),
    grpc_next_upstream = units.joined(opt(way.next_upstream, 3, "1+")),
    grpc_next_upstream_tries = opt(units.number, 0),
    grpc_next_upstream_timeout = opt(units.time, 0),
    grpc_intercept_errors = opt(units.onoff, false),
    grpc_socket_rcvbuf = noop(1), grpc_socket_sndbuf = noop(1),
  },
  route = route,
}

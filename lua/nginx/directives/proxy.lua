--- proxy_pass and what belongs to it: where requests go, what is asked there, when another server is asked. Fields of requests and
--- responses are in proxy_headers.lua, TLS in proxy_ssl.lua.
local exchange = require "nginx.exchange"
local units = require "nginx.units"
local way = require "nginx.upstream_way"

local everywhere = "http server location"

local function opt(parse, default, args)
  return { where = everywhere, args = args or 1, parse = parse, default = default }
end

local function noop(args)
  return { where = everywhere, args = args, noop = true }
end

-- ---- proxy_pass

--- proxy_pass URL: { scheme, host, uri }, or { url } when it has variables.
local function proxy_pass(d, scope)
  local url = d.args[1]
  if url:find("$", 1, true) then
    return { url = url }
  end
  local scheme, rest = url:match("^(%a+)://(.*)$")
  scheme = scheme and scheme:lower()
  if scheme ~= "http" and scheme ~= "https" then
    return nil, "invalid URL prefix"
  end
  local host, uri = way.split(rest)
  if host == "" then
    return nil, ('no host in upstream "%s"'):format(rest)
  elseif way.has_bad_port(host) then
    return nil, ('invalid port in upstream "%s"'):format(rest)
  end
  local where = scope.match and scope.match.match
  if uri ~= "" and (scope.kind ~= "location" or where == "regex" or where == "named") then
    return nil, '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, '
      .. 'or inside "if" statement, or inside "limit_except" block'
  end
  if uri:sub(1, 1) == "?" then
    uri = "/" .. uri
  end
  return { scheme = scheme, host = host, uri = uri ~= "" and uri or nil }
end

--- The path that the location stands for.
local function location_of(scope)
  while scope and not scope.match do
    scope = scope.parent
  end
  return scope and scope.match.pattern or ""
end

local function fixed_target(scope, r, x, p, c)
  r.upstream = way.group(c, p)
  local is_unix = p.host:find("^unix:")
  x.url_host = is_unix and "localhost" or p.host
  x.url_port = p.host:match(":(%d+)$") or (is_unix and "" or p.scheme == "https" and "443" or "80")
  x.secure = p.scheme == "https"
  r.host_header = x.url_host
  if p.uri then
    r.strip, r.strip_path, r.add_path = true, location_of(scope), p.uri
  end
end

local function made_target(r, x, p, c)
  r.upstream = c:intern("upstreams", "$", way.implicit("$", nil))
  x.target = p.url
  x.secure = not p.url:find("^[hH][tT][tT][pP]:")
  r.host_header = "$proxy_host"
end

-- ---- the rest

--- proxy_store on | off | FILE. "on" is the file of the path.
local function store(d)
  return d.args[1] == "on" and "$request_filename" or d.args[1] == "off" and "" or d.args[1]
end

local whose, rights = { user = 64, group = 8, all = 1 }, { r = 4, w = 2, rw = 6 }

--- proxy_store_access user:rw group:r all:r
local function access(d)
  local mode, seen = 384, {}
  for _, word in ipairs(d.args) do
    local who, what = word:match("^(%a+):(%a+)$")
    if not whose[who] or not rights[what] or seen[who] then
      return nil, ('invalid value "%s"'):format(word)
    end
    seen[who] = true
    mode = (who == "user" and mode % 64 or mode) + whose[who] * rights[what]
  end
  return mode
end

local function version(d)
  if d.args[1] == "1.0" or d.args[1] == "1.1" or d.args[1] == "2" then
    return d.args[1]
  end
  return nil, ('invalid value "%s"'):format(d.args[1])
end

--- Set for each route, proxied or not: `error_page` may send a request from here to there, but limits are those of its last route.
local function buffers(scope, r)
  local pieces, head = scope:get("proxy_buffers"), scope:get("proxy_buffer_size")
  r.buffer_response = scope:get("proxy_buffering")
  r.hold_small = r.buffer_response
  r.buffer_head = math.max(head, 256)
  r.buffer_memory = math.max(pieces.count * pieces.size, 4096)
  r.buffer_file = scope:get("proxy_max_temp_file_size")
  r.buffer_request = scope:get("proxy_request_buffering")
end

local function times(scope, r)
  way.times(scope, r, "proxy")
  local limit = scope:get("proxy_limit_rate")
  r.upstream_rate = limit ~= "0" and limit or nil
end

local function unusual(scope, x, c)
  way.exchange(scope, x, "proxy")
  x.pass_chunks = true
  x.send_headers = scope:get("proxy_pass_request_headers")
  x.send_body = scope:get("proxy_pass_request_body")
  x.body = scope:get("proxy_set_body")
  x.method = scope:get("proxy_method")
  x.ignore_abort = scope:get("proxy_ignore_client_abort")
  x.force_ranges = scope:get("proxy_force_ranges")
  local file = scope:get("proxy_store")
  if file and file ~= "" then
    x.store, x.store_mode = file:find("^[/$]") and file or c:prefix_path(file), scope:get("proxy_store_access")
  end
  x.trailers = scope:get("proxy_pass_trailers")
end

local function route(scope, r, c)
  local p = scope:handler("proxy_pass")
  if not p then
    return
  end
  local x = exchange.of(r)
  r.action = "proxy"
  r.forwarded, r.websocket, r.rewrite_location = false, false, false
  r.upstream_http = scope:get("proxy_http_version")
  if p.url then
    made_target(r, x, p, c)
  else
    fixed_target(scope, r, x, p, c)
  end
  buffers(scope, r)
  times(scope, r)
  unusual(scope, x, c)
end

return {
  directives = {
    proxy_pass = { where = "location if limit_except", args = 1, parse = proxy_pass },
    proxy_http_version = opt(version, "1.1"),
    proxy_method = opt(units.string),
    proxy_set_body = opt(units.string),
    proxy_pass_request_headers = opt(units.onoff, true),
    proxy_pass_request_body = opt(units.onoff, true),
    proxy_bind = opt(way.bind, "", { 1, 2 }),
    proxy_socket_keepalive = opt(units.onoff, false),
    proxy_connect_timeout = opt(units.time, 60000),
    proxy_send_timeout = opt(units.time, 60000),
    proxy_read_timeout = opt(units.time, 60000),
    proxy_next_upstream = units.joined(opt(way.next_upstream, 3, "1+")),
    proxy_next_upstream_tries = opt(units.number, 0),
    proxy_next_upstream_timeout = opt(units.time, 0),
    proxy_intercept_errors = opt(units.onoff, false),
    proxy_ignore_client_abort = opt(units.onoff, false),
    proxy_force_ranges = opt(units.onoff, false),
    proxy_limit_rate = opt(units.rate, "0"),
    proxy_pass_trailers = opt(units.onoff, false),
    early_hints = opt(nil, nil, "1+"),
    proxy_buffering = opt(units.onoff, true),
    proxy_request_buffering = opt(units.onoff, true),
    proxy_buffer_size = opt(units.size, 4096),
    proxy_buffers = opt(units.bufs, { count = 8, size = 4096 }, 2),
    proxy_max_temp_file_size = opt(units.size, 1073741824),
    proxy_busy_buffers_size = noop(1), proxy_temp_file_write_size = noop(1), proxy_temp_path = noop({ 1, 4 }),
    proxy_send_lowat = noop(1), proxy_headers_hash_max_size = noop(1), proxy_headers_hash_bucket_size = noop(1),
    proxy_store = opt(store), proxy_store_access = opt(access, 384, { 1, 3 }), proxy_socket_rcvbuf = noop(1), proxy_socket_sndbuf = noop(1),
  },
  route = route,
}

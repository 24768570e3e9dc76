--- What clients may send and how long they may take: limits of heads and bodies, kept connections, closing. What holds before the server
--- of a request is known comes from the default server of its address, as in nginx.
local units = require "nginx.units"

local everywhere, upper = "http server location", "http server"
local TRAILER = 1024 -- room that a parser has beside its buffers

local function entry(where, parse, default, args)
  return { where = where, args = args or 1, parse = parse, default = default }
end

--- keepalive_timeout TIME [HEADER_TIME]
local function keepalive_timeout(d)
  local time, told = units.ms(d.args[1]), d.args[2] and units.ms(d.args[2]) or 0
  if not time or not told then
    return nil, "invalid value"
  end
  return { time = time, told = told }
end

local function header_buffers(d)
  local v, err = units.bufs(d)
  if v and v.size < 256 then
    return nil, "the \"large_client_header_buffers\" size must be equal to or greater than 256"
  end
  return v, err
end

local signatures = { on = "nginx_version", off = "nginx", build = "nginx_build" }

local function least(ms)
  return math.max(ms, 1)
end

--- Fields of a listener from its default server.
local function listen(server, l)
  local first, lines = server:get("client_header_buffer_size"), server:get("large_client_header_buffers")
  l.header_timeout = least(server:get("client_header_timeout"))
  l.idle_timeout = server:get("keepalive_timeout").time
  l.keepalive_requests = server:get("keepalive_requests")
  l.first_buffer, l.line_size, l.line_buffers = math.max(first, 1), lines.size, lines.count
  l.head_size = math.max(first + lines.count * lines.size, TRAILER)
  l.target_size = math.max(lines.size, first)
  l.head_fields = math.min(math.max(server:get("max_headers"), 1), 4096)
  local strict = server:get("ignore_invalid_headers")
  l.drop_invalid, l.bare_lf = strict, true
  l.drop_underscore = strict and not server:get("underscores_in_headers")
  l.merge_slashes = server:get("merge_slashes")
end

local function redirects(scope, r)
  r.absolute_redirect, r.port_in_redirect = scope:get("absolute_redirect"), scope:get("port_in_redirect")
  if scope:get("server_name_in_redirect") then
    local names = scope.site:own("server_name")
    r.redirect_host = names and names[1][1] ~= "" and names[1][1] or nil
  end
end

local function lingering(scope, r)
  r.lingering = scope:get("lingering_close")
  r.linger_time, r.linger_timeout = scope:get("lingering_time"), least(scope:get("lingering_timeout"))
  r.reset_late = scope:get("reset_timedout_connection")
end

local function route(scope, r)
  local keep, off = scope:get("keepalive_timeout"), scope:get("keepalive_disable")
  r.idle_timeout, r.idle_told = keep.time, keep.told
  r.connection_requests, r.connection_time = scope:get("keepalive_requests"), scope:get("keepalive_time")
  r.no_keep_msie6, r.no_keep_safari = off.msie6 or false, off.safari or false
  r.msie_refresh = scope:get("msie_refresh")
  r.chunked = scope:get("chunked_transfer_encoding")
  r.signature = signatures[scope:get("server_tokens")]
  r.body_limit = scope:get("client_max_body_size")
  r.body_timeout = least(scope:get("client_body_timeout"))
  r.client_send_timeout = least(scope:get("send_timeout"))
  redirects(scope, r)
  lingering(scope, r)
end

local function noop(where, args)
  return { where = where, args = args or 1, noop = true }
end

return {
  directives = {
    client_header_timeout = entry(upper, units.time, 60000),
    client_header_buffer_size = entry(upper, units.size, 1024),
    large_client_header_buffers = entry(upper, header_buffers, { count = 4, size = 8192 }, 2),
    max_headers = entry(upper, units.number, 1000),
    ignore_invalid_headers = entry(upper, units.onoff, true),
    underscores_in_headers = entry(upper, units.onoff, false),
    merge_slashes = entry(upper, units.onoff, true),
    client_max_body_size = entry(everywhere, units.size, 1048576),
    client_body_timeout = entry(everywhere, units.time, 60000),
    send_timeout = entry(everywhere, units.time, 60000),
    keepalive_timeout = entry(everywhere, keepalive_timeout, { time = 75000, told = 0 }, { 1, 2 }),
    keepalive_requests = entry(everywhere, units.number, 1000),
    keepalive_time = entry(everywhere, units.time, 3600000),
    keepalive_disable = units.joined(entry(everywhere, units.mask { "none", "msie6", "safari" }, { msie6 = true }, "1+")),
    lingering_close = entry(everywhere, units.one_of { "on", "off", "always" }, "on"),
    lingering_time = entry(everywhere, units.time, 30000),
    lingering_timeout = entry(everywhere, units.time, 5000),
    reset_timedout_connection = entry(everywhere, units.onoff, false),
    chunked_transfer_encoding = entry(everywhere, units.onoff, true),
    server_tokens = entry(everywhere, units.one_of { "on", "off", "build" }, "on"),
    absolute_redirect = entry(everywhere, units.onoff, true),
    port_in_redirect = entry(everywhere, units.onoff, true),
    server_name_in_redirect = entry(everywhere, units.onoff, false),
    client_body_early_read = noop(everywhere), keepalive_min_timeout = noop(everywhere), msie_padding = noop(everywhere),
    msie_refresh = entry(everywhere, units.onoff, false),
    subrequest_output_buffer_size = noop(everywhere), open_file_cache_events = noop(everywhere),
  },
  listen = listen,
  route = route,
}

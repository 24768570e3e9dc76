--- HTTP/2 to clients. What holds for a connection is said by the default server of its socket; which servers speak it is said by each.
local units = require "nginx.units"

local CHUNK_MAX, WINDOW_MAX = 16777215, 2147483647

local function bounded(parse, low, high)
  return function(d)
    local v, err = parse(d)
    if not v then
      return nil, err
    elseif v < low or v > high then
      return nil, ("value must be between %d and %d"):format(low, high)
    end
    return v
  end
end

--- A frame longer than any may be is as long as one may be.
local function chunk_size(d)
  local v, err = units.size(d)
  if v == 0 then
    return nil, "the http2 chunk size cannot be zero"
  end
  return v and math.min(v, CHUNK_MAX), err
end

--- A directive of older versions: known, without effect, and the log says what took its place.
local function obsolete(where, args, instead)
  return {
    where = where, args = args,
    parse = function(d, _, c)
      local hint = instead and (', use the "%s" directive instead'):format(instead) or ", ignored"
      c:warn(d, 'the "%s" directive is obsolete%s', d.name, hint)
      return true
    end,
  }
end

local function site(server, s)
  local flagged = false
  for _, said in ipairs(server:own("listen") or {}) do
    flagged = flagged or said.http2
  end
  s.http2 = (flagged or server:get("http2")) and true or false
end

local function route(scope, r)
  r.http2_frame = scope:get("http2_chunk_size")
end

local function warn_of_flag(server, c)
  for _, said in ipairs(server:own("listen") or {}) do
    if said.http2 then
      c:warn(said.at, 'the "listen ... http2" directive is deprecated, use the "http2" directive instead')
    end
  end
end

local function gateway(main, g, c)
  local by_index = {}
  for _, server in ipairs(main.http and main.http:each("server") or {}) do
    by_index[server.index] = server
    warn_of_flag(server, c)
  end
  for _, l in ipairs(g.listens) do
    for _, index in ipairs(l.sites) do
      l.http2 = l.http2 or by_index[index]:get("http2") or nil
    end
    local first = by_index[l.default_site]
    l.http2_streams = first:get("http2_max_concurrent_streams")
    l.http2_window = first:get("http2_body_preread_size")
    l.http2_excess = "goaway"
  end
end

return {
  directives = {
    http2 = { where = "http server", args = 1, parse = units.onoff, default = false },
    http2_max_concurrent_streams = { where = "http server", args = 1, parse = bounded(units.number, 1, 65535), default = 128 },
    http2_body_preread_size = { where = "http server", args = 1, parse = bounded(units.size, 0, WINDOW_MAX), default = 65536 },
    http2_chunk_size = { where = "http server location", args = 1, parse = chunk_size, default = 8192 },
    http2_recv_buffer_size = { where = "http", args = 1, parse = units.size },
    http2_pool_size = { where = "http server", args = 1, parse = units.size },
    http2_streams_index_size = { where = "http server", args = 1, parse = units.number },
    http2_idle_timeout = obsolete("http server", 1, "keepalive_timeout"),
    http2_recv_timeout = obsolete("http server", 1, "client_header_timeout"),
    http2_max_requests = obsolete("http server", 1, "keepalive_requests"),
    http2_max_field_size = obsolete("http server", 1, "large_client_header_buffers"),
    http2_max_header_size = obsolete("http server", 1, "large_client_header_buffers"),
    http2_max_concurrent_pushes = obsolete("http server", 1),
    http2_push = obsolete("http server location", 1),
    http2_push_preload = obsolete("http server location", 1),
  },
  site = site,
  route = route,
  gateway = gateway,
}

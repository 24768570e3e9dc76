--- gzip_*, gunzip.
local units = require "nginx.units"

local everywhere = "http server location"

local bits = {
  expired = 1, ["no-cache"] = 2, ["no-store"] = 4, private = 8, no_last_modified = 16, no_etag = 32, auth = 64, any = 128, off = 0,
}

local function proxied(d)
  local mask = 0
  for _, word in ipairs(d.args) do
    local b = bits[word:lower()]
    if not b then
      return nil, ('invalid value "%s"'):format(word)
    elseif b > 0 and mask % (2 * b) < b then
      mask = mask + b
    end
  end
  return mask
end

local function disable(d)
  local list = {}
  for i, pattern in ipairs(d.args) do
    list[i] = pattern == "msie6" and "MSIE [4-6]\\.(?!.*SV1)" or pattern
  end
  return list
end

local function level(d)
  local n = units.integer(d.args[1])
  if not n or n < 1 or n > 9 then
    return nil, n and "value must be between 1 and 9" or "invalid number"
  end
  return n
end

local function flat(lists)
  local out = {}
  for _, list in ipairs(lists or {}) do
    for _, v in ipairs(list) do
      out[#out + 1] = v
    end
  end
  return out
end

local function type_list(scope)
  local list = flat(scope:get("gzip_types"))
  table.insert(list, 1, "text/html")
  return list
end

local function route(scope, r)
  local on, static, gunzip = scope:get("gzip"), scope:get("gzip_static"), scope:get("gunzip")
  if not on and not gunzip and static == "off" then
    return
  end
  r.compress = on and "classic" or nil
  r.precompressed = static ~= "off" and static or nil
  r.gunzip = gunzip or nil
  r.compress_types, r.compress_encodings = type_list(scope), { "gzip" }
  r.compress_min, r.compress_level = scope:get("gzip_min_length"), scope:get("gzip_comp_level")
  r.compress_vary = scope:get("gzip_vary")
  r.compress_proxied, r.compress_http = scope:get("gzip_proxied"), scope:get("gzip_http_version")
  local agents = flat(scope:get("gzip_disable"))
  r.compress_disable = agents[1] and agents or nil
end

local function stored(parse, default, args, where)
  return { where = where or everywhere, args = args or 1, parse = parse, default = default }
end

local function noop(args)
  return { where = everywhere, args = args, noop = true }
end

return {
  directives = {
    gzip = stored(units.onoff, false, 1, "http server location if"),
    gzip_types = { where = everywhere, args = "1+", many = true, parse = units.types() },
    gzip_min_length = stored(units.size, 20),
    gzip_comp_level = stored(level, 1),
    gzip_proxied = units.joined(stored(proxied, 0, "1+")),
    gzip_http_version = stored(units.one_of { "1.0", "1.1" }, "1.1"),
    gzip_vary = stored(units.onoff, false),
    gzip_disable = { where = everywhere, args = "1+", many = true, parse = disable },
    gzip_static = stored(units.one_of { "off", "on", "always" }, "off"),
    gunzip = stored(units.onoff, false),
    gzip_buffers = noop(2), gzip_window = noop(1), gzip_hash = noop(1), gzip_no_buffer = noop(1), postpone_gzipping = noop(1),
    gunzip_buffers = noop(2),
  },
  route = route,
}

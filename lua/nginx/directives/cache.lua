--- proxy_cache_*: known, checked for their shape, without effect: there is no cache in this build. A configuration that caches
--- runs and asks its upstreams each time; `check` says so.
local everywhere = "http server location"

local function later(args, where)
  return { where = where or everywhere, args = args, many = true, effect = false, parse = function(d)
    return d
  end }
end

local function gateway(main, _, c)
  local http = main.http
  local said = http and http:own("proxy_cache_path")
  if said then
    c:note(said[1], "there is no cache in this build: responses are not stored")
  end
end

return {
  directives = {
    proxy_cache_path = later("2+", "http"), proxy_cache = later(1), proxy_cache_key = later(1), proxy_cache_valid = later("1+"),
    proxy_cache_use_stale = later("1+"), proxy_cache_lock = later(1), proxy_cache_lock_timeout = later(1), proxy_cache_lock_age = later(1),
    proxy_cache_background_update = later(1), proxy_cache_bypass = later("1+"), proxy_no_cache = later("1+"),
    proxy_cache_methods = later("1+"),
    proxy_cache_min_uses = later(1), proxy_cache_revalidate = later(1), proxy_cache_convert_head = later(1),
    proxy_cache_max_range_offset = later(1), proxy_cache_purge = later("1+"),
  },
  gateway = gateway,
}

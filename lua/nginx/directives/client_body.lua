--- client_body_*: where the bodies of requests are kept.
local units = require "nginx.units"

local everywhere = "http server location"

--- A body that is sent on as it comes does not see a file; what is here of it at once is treated as all others are.
local function route(scope, r, c)
  r.buffer_request_memory = scope:get("client_body_buffer_size")
  local at_once = scope:handler("proxy_pass") and not scope:get("proxy_request_buffering")
  r.hold_ready = at_once
  r.body_in_file = at_once and "off" or scope:get("client_body_in_file_only")
  r.body_dir = scope:get("client_body_temp_path")
  if r.body_dir then
    c.folders = c.folders or {}
    c.folders[r.body_dir] = true
  end
end

local function folder(d, _, c)
  return c:prefix_path(d.args[1])
end

return {
  directives = {
    client_body_buffer_size = { where = everywhere, args = 1, parse = units.size, default = 16384 },
    client_body_in_file_only = { where = everywhere, args = 1, parse = units.one_of { "off", "clean", "on" }, default = "off" },
    client_body_temp_path = { where = everywhere, args = { 1, 4 }, parse = folder },
    client_body_in_single_buffer = { where = everywhere, args = 1, noop = true },
  },
  route = route,
}

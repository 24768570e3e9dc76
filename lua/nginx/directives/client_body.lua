--- client_body_*: where the bodies of requests are kept.
local units = require "nginx.units"

local everywhere = "http server location"

local function route(scope, r, c)
  r.buffer_request_memory = scope:get("client_body_buffer_size")
  r.body_in_file = scope:get("client_body_in_file_only")
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

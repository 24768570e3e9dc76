--- ssi and its kin: server-side includes.
local units = require "nginx.units"

local everywhere = "http server location"

local function route(scope, r)
  if not scope:get("ssi") then
    return
  end
  r.ssi = true
  r.ssi_types = scope:get("ssi_types")
  r.ssi_silent = scope:get("ssi_silent_errors")
  r.ssi_last_modified = scope:get("ssi_last_modified")
  r.ssi_value_length = scope:get("ssi_value_length")
end

return {
  directives = {
    ssi = { where = "http server location if", args = 1, parse = units.onoff, default = false },
    ssi_types = units.joined { where = everywhere, args = "1+" },
    ssi_silent_errors = { where = everywhere, args = 1, parse = units.onoff },
    ssi_last_modified = { where = everywhere, args = 1, parse = units.onoff },
    ssi_value_length = { where = everywhere, args = 1, parse = units.size },
    ssi_min_file_chunk = { where = everywhere, args = 1, noop = true },
    ssi_ignore_recycled_buffers = { where = everywhere, args = 1, noop = true },
  },
  route = route,
}

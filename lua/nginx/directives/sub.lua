--- sub_filter and its kin: texts in answers that are replaced.
local units = require "nginx.units"

local everywhere = "http server location"

local function pair(d)
  if d.args[1] == "" then
    return nil, "empty search pattern"
  end
  return { from = d.args[1], to = d.args[2] }
end

local function route(scope, r)
  local pairs_of = scope:get("sub_filter")
  if not pairs_of then
    return
  end
  r.replace = {
    { pairs = pairs_of, once = scope:get("sub_filter_once"), types = scope:get("sub_filter_types"),
      last_modified = scope:get("sub_filter_last_modified") },
  }
end

return {
  directives = {
    sub_filter = { where = everywhere, args = 2, parse = pair, many = true },
    sub_filter_once = { where = everywhere, args = 1, parse = units.onoff, default = true },
    sub_filter_types = { where = everywhere, args = "1+", parse = units.types() },
    sub_filter_last_modified = { where = everywhere, args = 1, parse = units.onoff, default = false },
  },
  route = route,
}

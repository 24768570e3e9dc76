--- auth_basic*, auth_delay, auth_request*: users, and whom a sub-request lets in.
local captures = require "nginx.captures"
local guard = require "nginx.guard"
local units = require "nginx.units"

local everywhere = "http server location"

--- Read by the workers for each request, as nginx does: whoever edits the file need not reload.
local function user_file(d, _, c)
  return c:conf_path(d.args[1])
end

local function auth_request(d)
  if d.args[1] == "off" then
    return false
  end
  return d.args[1]
end

local function auth_request_set(d, _, c)
  local name = captures.new_name(c, d, d.args[1])
  if not name then
    return
  end
  captures.variable(c, name, { kind = "set" })
  return { name = name, value = d.args[2] }
end

local function basic(scope, r)
  local realm, users = scope:get("auth_basic"), scope:get("auth_basic_user_file")
  if realm and realm ~= "off" and users then
    local g = guard.of(r)
    g.realm, g.users_file = realm, users
  end
end

local function route(scope, r)
  basic(scope, r)
  local ask = scope:get("auth_request")
  if ask then
    guard.of(r).ask = ask
    guard.of(r).ask_sets = scope:get("auth_request_set")
  end
  if r.guard then
    r.guard[1].delay = scope:get("auth_delay")
  end
end

return {
  directives = {
    auth_basic = { where = everywhere .. " limit_except", args = 1, parse = units.string },
    auth_basic_user_file = { where = everywhere .. " limit_except", args = 1, parse = user_file },
    auth_delay = { where = everywhere, args = 1, parse = units.time },
    auth_request = { where = everywhere, args = 1, parse = auth_request },
    auth_request_set = { where = everywhere, args = 2, many = true, parse = auth_request_set },
  },
  route = route,
}

--- set_real_ip_from, real_ip_header, real_ip_recursive: whose word about the client counts.
local guard = require "nginx.guard"
local units = require "nginx.units"

local everywhere = "http server location"
local names = { "set_real_ip_from", "real_ip_header", "real_ip_recursive" }

local function from(d)
  local text = d.args[1]
  if text:find("/", 1, true) and not text:match("^[%x:.]+/%d+$") then
    return nil, ('invalid parameter "%s"'):format(text)
  end
  return text
end

local function fill(scope, to)
  to.trust = { unpack(scope:get("set_real_ip_from")) }
  to.trust_header = scope:get("real_ip_header")
  to.trust_recursive = scope:get("real_ip_recursive")
end

local function site(server, s)
  if server:get("set_real_ip_from") then
    fill(server, s)
  end
end

--- A location that says something of its own decides for requests of which the server could not say who sent them.
local function route(scope, r)
  local own = false
  for _, name in ipairs(names) do
    local where = scope:said(name)
    own = own or (where and where.kind ~= "http" and where.kind ~= "server")
  end
  if own and scope:get("set_real_ip_from") then
    fill(scope, guard.of(r))
  end
end

return {
  directives = {
    set_real_ip_from = { where = everywhere, args = 1, many = true, parse = from },
    real_ip_header = { where = everywhere, args = 1, parse = units.string, default = "X-Real-IP" },
    real_ip_recursive = { where = everywhere, args = 1, parse = units.onoff, default = false },
  },
  site = site, route = route,
}

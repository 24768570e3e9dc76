--- mirror: copies of requests go elsewhere. post_action: another request follows.
local guard = require "nginx.guard"
local units = require "nginx.units"

local everywhere = "http server location"

local function mirror(d, scope)
  local own = scope:own("mirror")
  if own and (own.off or d.args[1] == "off") then
    return nil, "is duplicate"
  end
  if d.args[1] == "off" then
    scope.values.mirror = { off = true }
    return
  end
  return d.args[1]
end

local function post_action(d)
  if d.args[1]:sub(1, 1) ~= "/" then
    return nil, "is supported with a URI that begins with a slash only"
  end
  return d.args[1]
end

local function route(scope, r)
  r.after = scope:get("post_action")
  local list = scope:get("mirror")
  if list and #list > 0 then
    local g = guard.of(r)
    g.mirrors = { unpack(list) }
    g.mirror_body = scope:get("mirror_request_body")
  end
end

return {
  directives = {
    post_action = { where = "http server location if", args = 1, parse = post_action },
    mirror = { where = everywhere, args = 1, many = true, parse = mirror },
    mirror_request_body = { where = everywhere, args = 1, parse = units.onoff, default = true },
  },
  route = route,
}

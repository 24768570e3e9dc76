--- secure_link, secure_link_md5, and secure_link_secret in their place.
local units = require "nginx.units"

local everywhere = "http server location"

--- What holds in a scope: a secret of its own replaces the others around it, and the other way round.
local function holds(scope)
  if not scope then
    return {}
  end
  local secret, said, hashed = scope:own("secure_link_secret"), scope:own("secure_link"), scope:own("secure_link_md5")
  if secret then
    return { secret = secret }
  end
  local around = holds(scope.parent)
  if said or hashed then
    return { said = said or around.said, hashed = hashed or around.hashed }
  end
  return around
end

local function check(scope, c)
  if scope:own("secure_link_secret") and (scope:own("secure_link") or scope:own("secure_link_md5")) then
    c:error(scope:at("secure_link_secret"), '"secure_link_secret" cannot be mixed with "secure_link" and "secure_link_md5"')
  end
end

local function route(scope, r, c)
  check(scope, c)
  local s = holds(scope)
  if next(s) then
    r.secure = { s }
  end
end

return {
  directives = {
    secure_link = { where = everywhere, args = 1, parse = units.string },
    secure_link_md5 = { where = everywhere, args = 1, parse = units.string },
    secure_link_secret = { where = "location", args = 1, parse = units.string },
  },
  route = route,
}

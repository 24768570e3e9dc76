--- allow, deny, satisfy.
local guard = require "nginx.guard"
local units = require "nginx.units"

local where = "http server location limit_except"

local function is_network(text)
  if text == "all" or text == "unix:" then
    return true
  end
  local ip, bits = text:match("^([%x:.]+)/?(%d*)$")
  return ip and (ip:find(":", 1, true) or ip:match("^%d+%.%d+%.%d+%.%d+$")) and (bits ~= "" or not text:find("/", 1, true))
end

--- Both directives of a block are one list, in the order they stand.
local function rule(d, scope)
  if not is_network(d.args[1]) then
    return nil, ('invalid parameter "%s"'):format(d.args[1])
  end
  local list = scope:own("access rules") or {}
  scope.values["access rules"] = list
  list[#list + 1] = { allow = d.name == "allow", from = d.args[1] }
end

local function route(scope, r)
  local rules = scope:get("access rules")
  if rules then
    guard.of(r).rules = rules
  end
  if r.guard and scope:get("satisfy") == "any" then
    r.guard[1].satisfy = "any"
  end
end

return {
  directives = {
    allow = { where = where, args = 1, many = true, parse = rule },
    deny = { where = where, args = 1, many = true, parse = rule },
    satisfy = { where = "http server location", args = 1, parse = units.one_of { "all", "any" }, default = "all" },
  },
  route = route,
}

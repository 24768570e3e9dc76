--- upstream {}: groups of servers.
local units = require "nginx.units"

local function server(d)
  local peer = { address = d.args[1] }
  for i = 2, #d.args do
    local key, value = d.args[i]:match("^([%w_]+)=(.*)$")
    if key == "weight" and units.integer(value) then
      peer.weight = units.integer(value)
    elseif d.args[i] == "backup" or d.args[i] == "down" then
      peer[d.args[i]] = true
    else
      return nil, ('invalid parameter "%s"'):format(d.args[i])
    end
  end
  return peer
end

local function upstream(scope, u, c)
  local servers = scope:own("server")
  if not servers then
    return c:error(scope.node, 'no servers are inside upstream')
  end
  for i, peer in ipairs(servers) do
    local address = peer.address
    if not address:find("^unix:") and not address:find(":%d+$") then
      address = address .. ":80"
    end
    u.peers[i] = { address = address, weight = peer.weight, backup = peer.backup, down = peer.down }
  end
end

return {
  directives = {
    upstream = { where = "http", args = 1, block = "upstream" },
    server = { where = "upstream", args = "1+", many = true, parse = server },
  },
  upstream = upstream,
}

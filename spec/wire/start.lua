--- What most wire specs begin with: a gateway with one listener and one site in front of an origin.
local gateway = require("spec.support.gateway")

local M = {}

--- Starts it. `site` and `gate` are options in the native dialect, as text.
---@param target integer|string  the origin's port, or another value of `proxy` as text
---@param site? string
---@param gate? string
---@param options? spec.GatewayOptions
---@return spec.Gateway
function M.proxy(target, site, gate, options)
  local proxy = type(target) == "number" and ('"http://127.0.0.1:%d"'):format(target) or target
  return gateway.start(([[
    gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false, level = "info" }, %s }
    site "*" { proxy = %s, %s }
  ]]):format(gate or "", proxy, site or ""), options)
end

return M

--- A gateway in nginx syntax: the text is what stands in http {}.
local gateway = require("spec.support.gateway")

---@param http string
---@param options? spec.GatewayOptions
---@return spec.Gateway
return function(http, options)
  options = options or {}
  options.name = "nginx.conf"
  local head = (options.before or "") .. "daemon off; user root; worker_processes 1;\nerror_log stderr info;\nevents {}\n"
    .. "http {\naccess_log off;\n"
  return gateway.start(head .. http .. "\n}\n", options)
end

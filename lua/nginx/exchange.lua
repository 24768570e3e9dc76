--- The part of a route that says what its exchanges with the upstream do beyond the usual; several directive modules fill it.
local M = {}

--- The route's exchange, made when there is none.
---@param r conf.model.route
---@return conf.model.exchange
function M.of(r)
  r.exchange = r.exchange or { {} }
  return r.exchange[1]
end

return M

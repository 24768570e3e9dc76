--- The guard of a route: several directive modules add to it, and a route for which none does has none.
local M = {}

---@param r conf.model.route
---@return conf.model.guard
function M.of(r)
  r.guard = r.guard or { {} }
  return r.guard[1]
end

return M

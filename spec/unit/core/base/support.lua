--- What the specs of core/base share.
local unit = require("spec.support.unit")

local M = { ffi = unit.ffi }
M.anchors = {}

--- A view of a Lua string, which is kept alive for as long as the specs run.
function M.str(s)
  M.anchors[s] = true
  return M.ffi.new("str", { s, #s })
end

function M.text(view)
  return view.p ~= nil and M.ffi.string(view.p, view.n) or nil
end

return M

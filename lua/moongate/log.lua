--- mg.log: lines of the error log, with the request's id and the policy's name in front.
---   mg.log.warn("quota of ", name, " is used up")
local core = require "moongate.core"

---@class moongate.Log
---@field debug fun(...)
---@field info fun(...)
---@field notice fun(...)
---@field warn fun(...)
---@field error fun(...)
local M = {}

local function writer(level)
  return function(...)
    local n = select("#", ...)
    if n == 1 and type((...)) == "string" then
      return core.log(level, (...))
    end
    local parts = { ... }
    for i = 1, n do
      parts[i] = tostring(parts[i])
    end
    core.log(level, table.concat(parts, "", 1, n))
  end
end

for _, level in ipairs { "debug", "info", "notice", "warn", "error" } do
  M[level] = writer(level)
end

return M

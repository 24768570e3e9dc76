--- The native API: `local mg = require "moongate"`. Policies and hooks see this and nothing below it.
---@class moongate
local M = {}

local core = require "moongate.core"

M.schema = require "moongate.schema"
M.policy = require("moongate.policy").policy
M.re = require "moongate.re"
M.json = require "moongate.json"
M.log = require "moongate.log"
M.metrics = require "moongate.metrics"
M.limit = require("moongate.limit").limit

for _, name in ipairs {
  "sleep", "spawn", "background", "hash", "crc32c", "digest", "hmac", "equal", "uuid", "random", "random_bytes",
  "now", "time", "monotonic", "base64", "unbase64", "escape", "unescape", "env",
} do
  M[name] = core[name]
end

--- Connections of hooks: `mg.socket.tcp()`.
M.socket = { tcp = core.tcp }

--- Shared dictionaries: mg.shared.NAME, declared in the configuration or by a policy. One object per name.
---@type table<string, moongate.Shared>
M.shared = setmetatable({}, {
  __index = function(self, name)
    local dict = core.dict(name)
    rawset(self, name, dict)
    return dict
  end,
})

--- A set of networks: `set:has("10.1.2.3")`, in hooks `set:has_client()`.
---@param list string[]
---@return moongate.Networks
function M.networks(list)
  local set, err = core.networks(list)
  if not set then
    error("mg.networks: " .. err, 2)
  end
  return set
end

--- A text with $variables, compiled: `t:render()` in hooks.
---@param text string
---@return moongate.Template
function M.template(text)
  local t, err = core.template(text)
  if not t then
    error("mg.template: " .. err, 2)
  end
  return t
end

return M

--- mg.limit: request rates and concurrency per key, in shared memory, one count for all workers.
---
---   local per_ip = mg.limit("login", { rate = "5/m", burst = 10 })
---   local ok, retry_after, left = per_ip:take(req.client_ip)
---   local few = mg.limit("reports", { concurrent = 4 })
---   local free = few:enter(user)            -- given back when the request is over
local core = require "moongate.core"
local schema = require "moongate.schema"

local M = {}

local rate = schema.rate()

local function misuse(name, message)
  error(("mg.limit(%q): %s"):format(tostring(name), message), 3)
end

local function whole(name, field, v)
  if v ~= nil and (type(v) ~= "number" or v < 0 or v ~= math.floor(v) or v >= 2 ^ 32) then
    misuse(name, field .. " must be a whole number, 0 or more")
  end
  return v or 0
end

--- Limits of one name share their counters, over policies and generations.
---@param name string
---@param options { rate: string|table|nil, burst: integer|nil, concurrent: integer|nil }
---@return moongate.Limit
function M.limit(name, options)
  if type(name) ~= "string" or name == "" then
    misuse(name, "the name must be a string")
  elseif type(options) ~= "table" then
    misuse(name, "options must be a table such as { rate = \"5/m\", burst = 10 }")
  end
  local spec = options.rate
  if type(spec) == "string" or type(spec) == "number" then
    local checked, errors = rate:check(spec, "rate")
    if errors then
      misuse(name, "rate " .. errors[1].message)
    end
    spec = checked
  elseif spec ~= nil and (type(spec) ~= "table" or not spec.count or not spec.seconds) then
    misuse(name, "rate must be a string such as \"5/m\"")
  end
  local concurrent = whole(name, "concurrent", options.concurrent)
  if not spec and concurrent == 0 then
    misuse(name, "needs a rate, or concurrent = n")
  end
  local emission = spec and spec.seconds * 1e6 / spec.count or 0
  return core.limiter(name, emission, whole(name, "burst", options.burst), concurrent)
end

return M

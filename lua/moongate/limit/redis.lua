--- A rate limit whose counters live in Redis, so that several gateways share them: one atomic script per decision, the time is
--- Redis' own. While Redis is away the gateway's own counters decide (`otherwise`), and Redis is asked again about once a second.
local core = require "moongate.core"
local log = require "moongate.log"
local redis = require "moongate.redis"

local M = {}

--- GCRA (the leaky bucket as one time stamp): KEYS[1]; emission and limit in microseconds. Answers allowed, retry, left, reset, delay.
--- TIME makes the script's writes depend on the server: Redis 5 and later replicate effects, so that is fine.
local TEXT = [[
local t = redis.call("TIME")
local now = t[1] * 1000000 + t[2]
local emission, tolerance = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = tonumber(redis.call("GET", KEYS[1]) or now)
if tat < now then tat = now end
local after = tat + emission
local early = after - now - emission
if early > tolerance then
  return {0, early - tolerance, 0, tat - now, 0}
end
redis.call("SET", KEYS[1], string.format("%.0f", after), "PX", math.ceil((after - now) / 1000) + 1000)
return {1, 0, math.floor((tolerance - early) / emission), after - now, early}
]]

local RETRY_SECONDS = 1

local Limit = {}
Limit.__index = Limit

---@class moongate.RedisLimit.Options
---@field name string       part of the key
---@field emission number   microseconds per request
---@field burst integer
---@field otherwise moongate.Limit  decides while Redis is away

--- A limit on a Redis server.
---@param options moongate.RedisLimit.Options
---@param server table  as redis.new
---@return table|nil, string|nil
function M.new(options, server)
  local client, err = redis.new(server)
  if not client then
    return nil, err
  end
  return setmetatable({
    client = client, prefix = (server.prefix or "moongate:") .. options.name .. ":", emission = options.emission,
    tolerance = options.emission * options.burst, otherwise = options.otherwise, address = server.address,
    script = { text = TEXT, sha = core.digest("sha1", TEXT) }, away_until = 0, away = false,
  }, Limit)
end

function Limit:failed(err)
  self.away_until = core.monotonic() + RETRY_SECONDS
  if not self.away then
    self.away = true
    log.warn("rate limit: redis ", self.address, ": ", err, "; this gateway counts for itself meanwhile")
  end
end

function Limit:came_back()
  self.away = false
  log.warn("rate limit: redis ", self.address, " is back")
end

--- As limiter:take: allowed; seconds until it would be; units left; seconds until all are back; delay that smooths.
function Limit:take(key)
  local now = core.monotonic()
  if now < self.away_until then
    return self.otherwise:take(key)
  end
  if self.away then
    self.away_until = now + RETRY_SECONDS -- one request tries; the others do not wait for it
  end
  local r, err = self.client:script(self.script, 1, self.prefix .. key, ("%.0f"):format(self.emission), ("%.0f"):format(self.tolerance))
  if type(r) ~= "table" or not r[5] then
    self:failed(err or "unexpected reply")
    return self.otherwise:take(key)
  elseif self.away then
    self:came_back()
    self.away_until = 0
  end
  return r[1] == 1, r[2] / 1e6, r[3], r[4] / 1e6, r[5] / 1e6
end

return M

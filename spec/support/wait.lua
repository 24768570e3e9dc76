--- Bounded waits: a spec never sleeps for a fixed time, it waits for a condition.
local cqueues = require("cqueues")
local run = require("spec.support.run")

local M = {}

--- Seconds a wait takes at most when it says nothing.
M.limit = 5

--- Waits until `condition` returns something true and returns that; an error when it does not.
---@generic T
---@param condition fun(): T
---@param what? string  for the message
---@param seconds? number
---@return T
function M.till(condition, what, seconds)
  local limit = run.scaled(seconds or M.limit)
  local stop = cqueues.monotime() + limit
  local pause = 0.001
  while true do
    local value = condition()
    if value then
      return value
    end
    if cqueues.monotime() >= stop then
      error("waited " .. limit .. " s for " .. (what or "a condition"), 2)
    end
    cqueues.poll(pause)
    pause = math.min(pause * 1.5, 0.02)
  end
end

--- True when `condition` stays false for `seconds`: for "does not happen", which needs some time.
---@param condition fun(): any
---@param seconds number
---@return boolean
function M.never(condition, seconds)
  local stop = cqueues.monotime() + seconds
  repeat
    if condition() then
      return false
    end
    cqueues.poll(0.005)
  until cqueues.monotime() >= stop
  return true
end

--- Monotonic seconds, for measuring how long something took.
---@return number
function M.now()
  return cqueues.monotime()
end

return M

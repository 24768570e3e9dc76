--- Runs specs inside one cqueues controller, so that client, origin and waiting share a thread.
---
---   local run = require("spec.support.run")
---   it("answers", run(function() … end))       -- bounded; what it started is ended afterwards
---   setup(run.setup(function() … end))         -- what this starts lives until …
---   teardown(run.teardown)
---
--- Whatever starts something (a process, a listener) calls run.defer with the way to end it.
local cqueues = require("cqueues")

local M = {}

--- Seconds that one `run` may take; MG_ASAN builds get three times as much.
M.limit = 20

local controller = cqueues.new()
local suite = {}   -- clean-ups owed by teardown
local current = {} -- clean-ups owed by the running spec
local slow = os.getenv("MG_ASAN") and 3 or 1

--- A number of seconds, longer on the sanitizer builds.
---@param seconds number
---@return number
function M.scaled(seconds)
  return seconds * slow
end

--- Registers a clean-up, done in reverse order at the end of the running spec (or of the suite when
--- called from `run.setup`). An error in it fails the spec.
---@param fn fun()
function M.defer(fn)
  current[#current + 1] = fn
end

--- Starts a coroutine beside the spec. Its errors fail the spec that runs when they happen.
---@param fn fun()
function M.spawn(fn)
  controller:wrap(fn)
end

--- Where in a spec file an error came from: busted itself would name this file.
local function locate(err)
  local trace = debug.traceback("", 2)
  local place = trace:match("([^%s]+_spec%.lua:%d+)")
  if type(err) == "table" and type(err.message) == "string" and place then
    err.message = err.message .. "\n(at " .. place .. ")"
  elseif type(err) == "string" then
    err = err .. "\n" .. trace
  end
  return err
end

local function call(fn)
  local done, ok, err = false, nil, nil
  controller:wrap(function()
    ok, err = xpcall(fn, locate)
    done = true
  end)
  local limit = cqueues.monotime() + M.scaled(M.limit)
  while not done do
    local left = limit - cqueues.monotime()
    if left <= 0 then
      return false, "not done after " .. M.scaled(M.limit) .. " s"
    end
    local stepped, why = controller:step(left)
    if not stepped then
      return false, "in a background coroutine: " .. tostring(why)
    end
  end
  return ok, err
end

--- Ends everything in `stack`, newest first; returns the first error.
local function unwind(stack)
  local first
  for i = #stack, 1, -1 do
    local ok, err = call(stack[i])
    stack[i] = nil
    if not ok and first == nil then
      first = err
    end
  end
  return first
end

local function run(fn, stack)
  local outer = current
  current = stack
  local ok, err = call(fn)
  local cleanup
  if not ok or stack ~= suite then
    cleanup = unwind(stack)
  end
  current = outer
  if not ok then
    error(err, 0)
  elseif cleanup ~= nil then
    error(cleanup, 0)
  end
end

--- For busted's setup: what `fn` starts is ended by run.teardown.
---@param fn fun()
---@return fun()
function M.setup(fn)
  return function()
    run(fn, suite)
  end
end

--- Ends what run.setup started.
function M.teardown()
  local err = unwind(suite)
  if err ~= nil then
    error(err, 0)
  end
end

return setmetatable(M, {
  --- For `it`: a function that runs `fn` in the controller, bounded, and cleans up.
  __call = function(_, fn)
    return function()
      run(fn, {})
    end
  end,
})

--- A worker that is killed under load: what it costs and how long it takes until another one serves. Then the same for the master:
--- its workers finish what they have and end.
---
---   luajit bench/trials/crash.lua [ROUNDS] [WORKERS]
local cqueues = require("cqueues")
local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local lib = require("bench.trials.lib")
local signal = require("posix.signal")
local wait = require("spec.support.wait")

local M = {}

local config = [[
gateway { listen = "127.0.0.1:0", workers = %d, log = { access = false }, shutdown = "5s" }
site "*" { proxy = "http://127.0.0.1:%d" }
]]

--- The worker with most connections: the worst one to lose.
local function busiest(gw)
  local found
  for _, worker in ipairs(ctl.status(gw).workers) do
    if not found or worker.connections > found.connections then
      found = worker
    end
  end
  return found
end

--- One kill; clients look before they send when `careful`. Figures: connections the victim had, failures, time until the replacement
--- runs, and after which no request failed any more.
local function round(gw, options, careful)
  local last, n, failed, reasons = nil, 0, 0, {}
  local pause_worst = 0
  local steady = lib.steady(gw.port, { path = "/", rate = options.rate, clients = options.clients, careful = careful,
    on_each = function(began, now, ok, why)
      n = n + 1
      pause_worst = math.max(pause_worst, now - began)
      if not ok then
        failed, reasons[why] = failed + 1, (reasons[why] or 0) + 1
        last = now
      end
    end })
  cqueues.sleep(options.before)
  local victim = busiest(gw)
  local killed_at = cqueues.monotime()
  signal.kill(victim.pid, signal.SIGKILL)
  wait.till(function()
    local all = ctl.workers(gw)
    for _, pid in ipairs(all) do
      if pid == victim.pid then
        return false
      end
    end
    return #all == options.workers
  end, "the replacement", 5)
  local replaced = cqueues.monotime() - killed_at
  cqueues.sleep(options.after)
  steady:finish()
  return { connections = victim.connections, requests = n, failed = failed, reasons = reasons, replaced = replaced,
    last_failure = last and last - killed_at or 0, worst = pause_worst,
    reopened = careful and steady.reopened or nil }
end

--- The master is killed while a request waits for its answer: the answer still comes, then all workers end.
local function master(gw)
  local pids = ctl.workers(gw)
  local c = client.connect(gw.port)
  c:request("GET", "/sleep?ms=700")
  cqueues.sleep(0.2)
  local killed_at = cqueues.monotime()
  signal.kill(gw.pid, signal.SIGKILL)
  local res, why = c:response({ may_fail = true })
  local answered = cqueues.monotime() - killed_at
  c:close()
  wait.till(function()
    for _, pid in ipairs(pids) do
      if ctl.is_alive(pid) then
        return false
      end
    end
    return true
  end, "the end of the workers", 12)
  return { status = res and res.status or why, answered = answered, ended = cqueues.monotime() - killed_at,
    refused = client.connect(gw.port, { may_fail = true }) == nil }
end

---@param options { rounds: integer, workers: integer, rate: integer, clients: integer, before: number, after: number }
---@return table figures
function M.run(options)
  local origin = lib.process("origin")
  local gw = gateway.start(config:format(options.workers, origin.port), { may_crash = true })
  local rounds = {}
  for i = 1, options.rounds do
    rounds[i] = round(gw, options, i % 2 == 0)
  end
  local status = ctl.status(gw)
  return { rounds = rounds, status = status, master = master(gw), log = gw:stderr() }
end

local function report(r)
  local rows = { { "kill", "connections of the victim", "requests", "idle ones reopened", "failed", "why", "replacement runs after",
    "last failure after", "worst latency" } }
  for i, x in ipairs(r.rounds) do
    rows[#rows + 1] = { i, x.connections, x.requests, x.reopened or "(not looked)", x.failed, lib.reasons(x.reasons),
      lib.ms(x.replaced), lib.ms(x.last_failure), lib.ms(x.worst) }
  end
  print(lib.table(rows))
  local m = r.master
  print(("workers replaced: %s"):format(tostring(r.status.counters.worker_restarts)))
  print(("master killed: the request in flight got %s after %s; all workers ended after %s; the port refuses: %s"):format(
    tostring(m.status), lib.ms(m.answered), lib.ms(m.ended), tostring(m.refused)))
end

if lib.is_main("crash") then
  lib.main(120, function()
    local r = M.run { rounds = tonumber(arg[1]) or 6, workers = tonumber(arg[2]) or 2, rate = 1000, clients = 40, before = 1,
      after = 1 }
    report(r)
    return r.master.status == 200
  end)
end

return M

--- Hooks that misbehave in every way we could think of, each once with on_error = "continue" and once with "deny": what the client
--- got and when, what a second client got, what neighbours on another route saw meanwhile, what was logged.
---
---   luajit bench/trials/runaway.lua [WORKERS] [CASE]
local cqueues = require("cqueues")
local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local lib = require("bench.trials.lib")
local wait = require("spec.support.wait")

local M = {}

local find = [[string.find(("a"):rep(40), (".-"):rep(14) .. "b")]]

---@class trials.Case
---@field name string
---@field phase string
---@field code string
---@field ends? boolean  only the watchdog ends it
local function case(name, phase, code, ends)
  return { name = name, phase = phase, code = code, ends = ends }
end

---@type trials.Case[]
M.cases = {
  case("endless loop", "access", "while true do end"),
  case("endless loop in pcall", "access", "while true do pcall(function() while true do end end) end"),
  case("endless loop in body", "body", "while true do end"),
  case("endless loop in log", "log", "while true do end"),
  case("endless loop of calls", "access", "local function f() end while true do f(tostring(1)) end"),
  case("table that grows", "access", "local t = {} while true do t[#t + 1] = { #t } end"),
  case("string that grows", "access", 'local s = "x" while true do s = s .. s end'),
  case("string.find that never ends", "access", find, true),
  case("deep recursion", "access", "local function f(n) return 1 + f(n + 1) end f(1)"),
  case("returns a number", "access", "return 42"),
  case("returns a table", "header", "return { status = 200 }"),
  case("body returns a table", "body", "return {}"),
  case("balance names nobody", "balance", 'return "203.0.113.9:1"'),
  case("CR LF in request header", "access", 'req.headers["X-A"] = "a\\r\\nX-Evil: 1"'),
  case("CR LF in response header", "header", 'res.headers["X-A"] = "a\\r\\nX-Evil: 1"'),
  case("CR LF in header of reply", "access", 'return req:reply(200, "x", { ["X-A"] = "a\\r\\nX-Evil: 1" })'),
  case("status 9999", "header", "res.status = 9999"),
  case("error(nil)", "access", "error(nil)"),
  case("error({})", "access", "error({})"),
  case("yield", "access", "coroutine.yield()"),
}
for _, phase in ipairs { "rewrite", "access", "balance", "header", "body", "log" } do
  M.cases[#M.cases + 1] = case("error in " .. phase, phase, 'error("thrown")')
end

local parameters = {
  rewrite = "req, ctx", access = "req, ctx", balance = "req, ctx", header = "req, res, ctx", body = "req, chunk, last, ctx",
  log = "req, res, ctx",
}

local policy = [[
local mg = require "moongate"
return mg.policy {
  name = "%s", doc = "", options = mg.schema.record {}, on_error = "%s",
  new = function()
    return { %s = function(%s) %s end }
  end,
}
]]

--- Neighbours run hooks too, so that a spoilt Lua state would be seen.
local neighbour = [[
local mg = require "moongate"
return mg.policy {
  name = "neighbour", doc = "", options = mg.schema.record {}, on_error = "deny",
  new = function()
    return {
      access = function(req, ctx) ctx.list = { req.path, req.headers.host, {} } end,
      header = function(_, res, ctx) res.headers["X-List"] = #ctx.list end,
    }
  end,
}
]]

local function name_of(i, mode)
  return ("case%d_%s"):format(i, mode)
end

--- The gateway with one route per case and mode.
local function start(options, cases)
  local origin = lib.process("origin")
  local files = { ["policies/neighbour.lua"] = neighbour }
  local lines = { ([[
gateway { listen = "127.0.0.1:0", workers = %d, log = { access = false }, scripts = { cpu = "%s", watchdog = "%s" } }
site "*" {
  proxy = "http://127.0.0.1:%d", timeouts = { connect = "1s" },
  route "/steady" { use = { policy "neighbour" {} } },]]):format(options.workers, options.cpu or "500ms",
    options.watchdog or "2s", origin.port) }
  for i, c in ipairs(cases) do
    for _, mode in ipairs { "continue", "deny" } do
      local name = name_of(i, mode)
      files["policies/" .. name .. ".lua"] = policy:format(name, mode, c.phase, parameters[c.phase], c.code)
      lines[#lines + 1] = ('  route "/%s" { use = { policy "%s" {} } },'):format(name, name)
    end
  end
  lines[#lines + 1] = "}\n"
  return gateway.start(table.concat(lines, "\n"), { files = files })
end

--- One request on a connection of its own: what came, as text, and after how many seconds.
local function ask(gw, path)
  local began = cqueues.monotime()
  local c, why = client.connect(gw.port, { timeout = 15, may_fail = true })
  if not c then
    return "connect: " .. why, 0
  end
  c:request("GET", path)
  local res
  res, why = c:response({ may_fail = true })
  local seconds = cqueues.monotime() - began
  c:close()
  if not res then
    return why == "closed" and "closed" or "no answer: " .. tostring(why):sub(1, 40), seconds
  end
  local evil = res.headers:get("X-Evil") and ", INJECTED" or ""
  return res.status .. (res.error and ", cut (" .. res.error .. ")" or "") .. evil, seconds
end

--- The neighbours' figures of a window.
local function window()
  local w = { n = 0, failed = 0, worst = 0, slow = 0 }
  w.note = function(began, now, ok)
    w.n = w.n + 1
    w.failed = w.failed + (ok and 0 or 1)
    w.worst = math.max(w.worst, now - began)
    w.slow = w.slow + (now - began > 0.05 and 1 or 0)
  end
  return w
end

local function logged(gw, mark)
  local lines = {}
  for line in gw:stderr():sub(mark):gmatch("[^\n]+") do
    if line:find("error") or line:find("stuck") or line:find("crit") or line:find("alert") then
      lines[#lines + 1] = line
    end
  end
  return lines
end

--- One case in one mode; `state.window` gets the neighbours' figures meanwhile.
local function try(gw, i, c, mode, state, settle)
  local name, r = name_of(i, mode), { case = c, mode = mode }
  local mark = gw:mark()
  state.window = window()
  r.answer, r.seconds = ask(gw, "/" .. name)
  if c.ends then
    cqueues.sleep(0.5) -- a worker has to be replaced
  elseif c.phase == "log" then -- it comes after the answer
    pcall(wait.till, function()
      return #logged(gw, mark) > 0
    end, "the log", 3)
  end
  r.again, r.again_seconds = ask(gw, "/" .. name)
  cqueues.sleep(settle)
  r.neighbours, r.log = state.window, logged(gw, mark)
  return r
end

---@param options { workers: integer, cases?: trials.Case[], rate?: integer, settle?: number, cpu?: string, watchdog?: string }
---@return table[] results
---@return table status  afterwards
function M.run(options)
  local cases = options.cases or M.cases
  local gw = start(options, cases)
  local state, results = { window = window() }, {}
  local steady = lib.steady(gw.port, { path = "/steady", rate = options.rate or 200, clients = 8, on_each = function(...)
    state.window.note(...)
  end })
  cqueues.sleep(0.3)
  for i, c in ipairs(cases) do
    for _, mode in ipairs { "continue", "deny" } do
      results[#results + 1] = try(gw, i, c, mode, state, options.settle or 0.2)
    end
  end
  steady:finish()
  wait.till(function()
    return #ctl.workers(gw) == options.workers
  end, "all workers", 5)
  return results, ctl.status(gw), steady
end

local function report(results)
  local rows = { { "hook", "phase", "on_error", "client got", "after", "next client", "after", "neighbours", "failed", "> 50 ms",
    "worst" } }
  local lines = {}
  for _, r in ipairs(results) do
    local n = r.neighbours
    rows[#rows + 1] = { r.case.name, r.case.phase, r.mode, r.answer, lib.ms(r.seconds), r.again, lib.ms(r.again_seconds), n.n, n.failed,
      n.slow, lib.ms(n.worst) }
    lines[#lines + 1] = ("%s, %s: %d lines; %s"):format(r.case.name, r.mode, #r.log, (r.log[1] or "NOTHING LOGGED"):sub(1, 230))
  end
  print(lib.table(rows))
  print("\nlogged:")
  print(table.concat(lines, "\n"))
end

if lib.is_main("runaway") then
  lib.main(300, function()
    local workers, only = tonumber(arg[1]) or 2, arg[2]
    local cases
    for _, c in ipairs(only and M.cases or {}) do
      cases = cases or {}
      if c.name:find(only, 1, true) then
        cases[#cases + 1] = c
      end
    end
    local results, status, steady = M.run { workers = workers, cases = cases }
    print(workers .. " workers")
    report(results)
    print(("neighbours in all: %d requests, %d failed (%s), worst %s; workers replaced: %d, by the watchdog: %d"):format(steady.sent,
      steady.failed, lib.reasons(steady.reasons), lib.ms(steady.worst), status.counters.worker_restarts or -1,
      status.counters.watchdog_kills or -1))
    for _, r in ipairs(results) do
      if r.answer:find("INJECTED") then
        return false
      end
    end
  end)
end

return M

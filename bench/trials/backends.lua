--- A backend that is killed and started again and again under load, with active checks and retries; then a name whose addresses
--- change, whose DNS fails, and comes back; then servers that are drained, restarted, brought up, added and removed by command.
---
---   luajit bench/trials/backends.lua [KILLS] [RATE] [WORKERS]
local cqueues = require("cqueues")
local ctl = require("spec.proc.ctl")
local dns = require("spec.support.dns")
local gateway = require("spec.support.gateway")
local lib = require("bench.trials.lib")
local signal = require("posix.signal")

local M = {}

local killed = [[
gateway { listen = "127.0.0.1:0", workers = %d, log = { access = false } }
upstream "u" { "127.0.0.1:%d", "127.0.0.1:%d",
  health = { active = { path = "/", every = "50ms", timeout = "1s", rise = 1, fall = 1 } } }
site "*" { proxy = "u" }
]]

local named = [[
gateway { listen = "127.0.0.1:0", workers = %d, log = { access = false }, resolver = "127.0.0.1:%d" }
site "*" { proxy = "http://app.test:%d" }
]]

local function figures(steady)
  return { requests = steady.sent, failed = steady.failed, reasons = steady.reasons, worst = steady.worst }
end

--- Kills: the second of two backends goes with whatever it has in hand, and comes back on its port.
function M.kills(options)
  local a, b = lib.process("origin"), lib.process("origin")
  local port = b.port
  local gw = gateway.start(killed:format(options.workers, a.port, port))
  local steady = lib.steady(gw.port, { path = "/", rate = options.rate, clients = options.clients })
  for _ = 1, options.kills do
    cqueues.sleep(options.pause)
    signal.kill(b.pid, signal.SIGKILL)
    cqueues.sleep(options.pause)
    b = lib.process("origin", port)
  end
  cqueues.sleep(options.pause)
  steady:finish()
  return figures(steady)
end

--- DNS: answers that change, an end of answers, errors, silence, and good answers again.
function M.names(options)
  local o = lib.process("origin")
  local d = dns.start { ["app.test"] = { "127.0.0.1", ttl = 1 } }
  local gw = gateway.start(named:format(options.workers, d.port, o.port))
  local steady = lib.steady(gw.port, { path = "/", rate = options.rate, clients = options.clients })
  for _, step in ipairs {
    { zone = { "127.0.0.1", "127.0.0.1", ttl = 1 } }, { mode = "servfail" }, { mode = "silent" }, { zone = { "127.0.0.1", ttl = 1 } },
  } do
    d.zone["app.test"], d.mode = step.zone or d.zone["app.test"], step.mode
    cqueues.sleep(options.hold)
  end
  steady:finish()
  local r = figures(steady)
  r.queries = d.queries
  return r
end

local rolled = [[
gateway { listen = "127.0.0.1:0", workers = %d, log = { access = false }, admin = { state = "changes" } }
upstream "u" { "127.0.0.1:%d", "127.0.0.1:%d" }
site "*" { proxy = "u", retry = false }
]]

--- A rolling restart, without any attempt to spare: the second backend is drained, killed when nothing is in flight there, started and
--- brought up again; a third one is added for as long.
function M.rolls(options)
  local a, b, c = lib.process("origin"), lib.process("origin"), lib.process("origin")
  local port = b.port
  local second, third = "127.0.0.1:" .. port, "127.0.0.1:" .. c.port
  local gw = gateway.start(rolled:format(options.workers, a.port, port))
  local steady = lib.steady(gw.port, { path = "/", rate = options.rate, clients = options.clients })
  local function upstream(...)
    local done = ctl.run(gw, "upstream", ...)
    assert(done.status == 0, done:stderr())
  end
  for i = 1, options.rolls do
    upstream("add", "u", third, "weight=" .. (1 + i % 3))
    upstream("drain", "u", second)
    repeat
      local page = ctl.run(gw, "upstream", "list", "u"):stdout()
    until page:find(second:gsub("%.", "%%.") .. " +primary +%d+ drained")
    signal.kill(b.pid, signal.SIGKILL)
    upstream("weight", "u", "127.0.0.1:" .. a.port, tostring(1 + i % 2))
    b = lib.process("origin", port)
    upstream("up", "u", second)
    if i % 5 == 0 then
      assert(ctl.run(gw, "reload").status == 0)
    end
    upstream("remove", "u", third)
  end
  steady:finish()
  return figures(steady)
end

--- What is promised and was not kept.
function M.broken(r)
  local out = {}
  for name, part in pairs(r) do
    if part.failed > 0 then
      out[#out + 1] = ("%s: %d of %d requests failed"):format(name, part.failed, part.requests)
    end
  end
  return out
end

function M.run(options)
  return { kills = M.kills(options), names = M.names(options), rolls = M.rolls(options) }
end

if lib.is_main("backends") then
  lib.main(590, function()
    local r = M.run { kills = tonumber(arg[1]) or 100, rate = tonumber(arg[2]) or 500, workers = tonumber(arg[3]) or 2, clients = 20,
      pause = 0.15, hold = 3, rolls = math.ceil((tonumber(arg[1]) or 100) / 2) }
    for name, part in pairs(r) do
      print(("%-6s %d requests, %d failed, worst %.0f ms"):format(name, part.requests, part.failed, part.worst * 1000))
      for why, n in pairs(part.reasons) do
        print(("       %d: %s"):format(n, why))
      end
    end
    local broken = M.broken(r)
    for _, text in ipairs(broken) do
      print("BROKEN: " .. text)
    end
    return #broken == 0
  end)
end

return M

--- Policies swapped under load: keepalive clients at a steady rate, WebSockets that echo, and two downloads that last the whole run
--- (one origin that is slow, one client that is slow). Nothing may fail, no tunnel may end, the downloads must arrive whole.
---
---   luajit bench/trials/swap.lua [SWAPS] [RATE] [WORKERS]
local cqueues = require("cqueues")
local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local lib = require("bench.trials.lib")
local run = require("spec.support.run")
local wait = require("spec.support.wait")
local ws = require("spec.support.ws")

local M = {}

--- Both hooks of a request say which generation they are of.
local policy = [[
local mg = require "moongate"
return mg.policy {
  name = "mark", doc = "", options = mg.schema.record {}, on_error = "deny",
  new = function()
    return {
      access = function(_, ctx) ctx.began = %d end,
      header = function(_, res, ctx) res.headers["X-Gen"] = "%d/" .. ctx.began end,
    }
  end,
}
]]

local config = [[
gateway { listen = "127.0.0.1:0", workers = %d, log = { access = false } }
site "*" { proxy = "http://127.0.0.1:%d", use = { policy "mark" {} }, client = { requests = 1000000000 } }
]]

--- WebSockets that send and expect their echo until told to stop.
local function echoes(gw, count, state)
  for i = 1, count do
    local peer = ws.connect(gw.port, "/ws", nil, { timeout = 15 })
    state.tunnels = state.tunnels + 1
    run.spawn(function()
      while not state.stopped do
        local text = ("tunnel %d message %d"):format(i, state.echoes)
        local start = cqueues.monotime()
        local sent = peer:send(text)
        local _, echo = peer:receive()
        if not sent or echo ~= text then
          state.lost = state.lost + 1
          break
        end
        state.echoes = state.echoes + 1
        state.worst_echo = math.max(state.worst_echo, cqueues.monotime() - start)
        cqueues.sleep(0.4)
      end
      peer:close()
      state.tunnels = state.tunnels - 1
    end)
  end
end

--- A download that reads `piece` bytes every 50 ms (0: as fast as they come); fills `result`.
local function download(gw, target, bytes, piece, result)
  local c = client.connect(gw.port, { timeout = 60 })
  c:request("GET", target)
  local head = assert(c:head())
  result.status, result.began, result.at, result.bytes = head.status, head.headers:get("X-Gen"), 0, bytes
  run.spawn(function()
    while result.at < bytes do
      local part, why = c:some(piece > 0 and piece or 65536)
      if not part then
        result.error = why
        break
      elseif part ~= lib.pattern(result.at, #part) then
        result.error = ("wrong bytes after %d"):format(result.at)
        break
      end
      result.at = result.at + #part
      if piece > 0 then
        cqueues.sleep(0.05)
      end
    end
    result.done = true
    c:close()
  end)
end

--- One swap to generation `number`: by command, or by HUP every other time.
local function swap(gw, number)
  gw:write("policies/mark.lua", policy:format(number, number))
  local start = cqueues.monotime()
  if number % 2 == 0 then
    local done = ctl.run(gw, "reload")
    assert(done.status == 0, done:stderr())
  else
    local mark = gw:mark()
    gw:signal("HUP")
    gw:wait_log(("now generation (%d)"):format(number), mark, 10)
  end
  return cqueues.monotime() - start
end

local function swaps(gw, options)
  local times = {}
  for i = 1, options.swaps do
    local next_at = cqueues.monotime() + (options.pause or 0)
    times[i] = swap(gw, i + 1)
    cqueues.sleep(math.max(0, next_at - cqueues.monotime()))
  end
  return times
end

---@param options { swaps: integer, rate: integer, clients: integer, tunnels: integer, workers: integer, bytes: integer, pause?: number }
---@return table figures
function M.run(options)
  local origin = lib.process("origin")
  local gw = gateway.start(config:format(options.workers, origin.port),
    { files = { ["policies/mark.lua"] = policy:format(1, 1) } })
  local state = { tunnels = 0, lost = 0, echoes = 0, worst_echo = 0 }
  echoes(gw, options.tunnels, state)
  local drip, bulk = {}, {}
  download(gw, ("/drip?bytes=%d&rate=%d"):format(options.bytes, options.drip_rate), options.bytes, 0, drip)
  download(gw, "/bulk?bytes=" .. options.bytes, options.bytes, math.ceil(options.drip_rate / 20), bulk)
  local load = lib.load(gw.port, { path = "/", rate = options.rate, clients = options.clients })
  local start = cqueues.monotime()
  local times = swaps(gw, options)
  local seconds = cqueues.monotime() - start
  local during = drip.at < options.bytes and bulk.at < options.bytes
  local figures = load.finish()
  wait.till(function()
    return drip.done and bulk.done
  end, "the end of the downloads", options.bytes / options.drip_rate * 3 + 10)
  state.kept = state.tunnels
  state.stopped = true
  wait.till(function()
    return state.tunnels == 0
  end, "the end of the tunnels", 20)
  return { load = figures, swaps = times, seconds = seconds, tunnels = state, drip = drip, bulk = bulk, downloads_lasted = during,
    status = ctl.status(gw), log = gw:stderr() }
end

local function report(r, options)
  print(("%d swaps in %.1f s with %d workers; a swap took %s (median), %s (longest)"):format(#r.swaps, r.seconds,
    options.workers, lib.ms(lib.percentile(r.swaps, 50)), lib.ms(lib.percentile(r.swaps, 100))))
  print(("requests: %d at %.0f/s by %d clients over %d connections; failures: %d (%s)"):format(r.load.sent, r.load.rate,
    options.clients, r.load.connects, r.load.failed, lib.reasons(r.load.reasons)))
  print(("latency: p50 %s, p99 %s, p99.9 %s, longest %s (clients were up to %s behind their timetable)"):format(lib.ms(r.load.p50),
    lib.ms(r.load.p99), lib.ms(r.load.p999), lib.ms(r.load.worst), lib.ms(r.load.late)))
  print(("generations that answered: %d of %d, none by two at once, none backwards"):format(r.load.generations, #r.swaps + 1))
  print(("tunnels: %d of %d kept, %d echoes, longest %s"):format(r.tunnels.kept, options.tunnels, r.tunnels.echoes,
    lib.ms(r.tunnels.worst_echo)))
  for _, name in ipairs { "drip", "bulk" } do
    local d = r[name]
    print(("download (%s): status %s, %d of %d bytes, %s"):format(name == "drip" and "slow origin" or "slow client", d.status, d.at,
      d.bytes, d.error or "every byte right"))
  end
  print("downloads lasted longer than the swaps: " .. tostring(r.downloads_lasted))
end

--- What must hold, as a list of what does not.
---@param r table
---@param options table
---@return string[]
function M.broken(r, options)
  local list = {}
  local function must(condition, what)
    if not condition then
      list[#list + 1] = what
    end
  end
  must(r.load.failed == 0, r.load.failed .. " requests failed: " .. lib.reasons(r.load.reasons))
  must(r.load.sent > 0, "no request was sent")
  must(r.tunnels.kept == options.tunnels and r.tunnels.lost == 0, "tunnels were lost")
  must(r.drip.at == options.bytes and not r.drip.error, "the slow origin's download broke: " .. tostring(r.drip.error))
  must(r.bulk.at == options.bytes and not r.bulk.error, "the slow client's download broke: " .. tostring(r.bulk.error))
  must(r.status.generation == options.swaps + 1, "generation is " .. tostring(r.status.generation))
  must(r.status.counters.worker_restarts_total == nil or r.status.counters.worker_restarts_total == 0, "a worker was restarted")
  return list
end

if lib.is_main("swap") then
  local count = tonumber(arg[1]) or 200
  local options = { swaps = count, rate = tonumber(arg[2]) or 3000, clients = 50, tunnels = 100, workers = tonumber(arg[3]) or 2,
    pause = 0.1 }
  options.drip_rate = 200000
  options.bytes = math.ceil(count * 0.17 + 3) * options.drip_rate
  lib.main(count * 2 + 120, function()
    local r = M.run(options)
    report(r, options)
    local broken = M.broken(r, options)
    for _, what in ipairs(broken) do
      print("BROKEN: " .. what)
    end
    return #broken == 0
  end)
end

return M

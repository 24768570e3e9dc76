--- A steady load as a process of its own: luajit load.lua PORT PATH RATE CLIENTS STOPFILE. Ends when STOPFILE exists (or after ten
--- minutes) and prints its figures as JSON. When answers carry X-Gen it looks at them too: both hooks of a request must be of one
--- generation, and on one connection generations never go back.
local cjson = require("cjson")
local cqueues = require("cqueues")
local lib = require("bench.trials.lib")

local port, path, rate, clients, stop = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4]), arg[5]
local generations = {}

local function check(head, _, state)
  if not head:find("^HTTP/1.1 200 ") then
    return head:match("^[^\r]*")
  end
  local began, ended = head:match("\r\n[Xx]%-[Gg]en: (%d+)/(%d+)")
  if began then
    if began ~= ended then
      return "answered by two generations"
    end
    local generation = tonumber(began)
    if generation < (state.generation or 0) then
      return "went back to an older generation"
    end
    state.generation = generation
    generations[generation] = (generations[generation] or 0) + 1
  end
end

local function exists(name)
  local file = io.open(name)
  return file ~= nil and file:close()
end

lib.main(660, function()
  local load = lib.steady(tonumber(port), { path = path, rate = rate, clients = clients, check = check })
  local start = cqueues.monotime()
  io.stderr:write("listening on nothing\n")
  repeat
    cqueues.sleep(0.05)
  until exists(stop) or cqueues.monotime() - start > 600
  load:finish()
  local seconds = cqueues.monotime() - start
  local seen, newest = 0, 0
  for generation in pairs(generations) do
    seen, newest = seen + 1, math.max(newest, generation)
  end
  print(cjson.encode {
    sent = load.sent, failed = load.failed, reasons = load.reasons, connects = load.connects, seconds = seconds,
    rate = load.sent / seconds, worst = load.worst, late = load.late, generations = seen, newest = newest,
    p50 = lib.percentile(load.latencies, 50), p99 = lib.percentile(load.latencies, 99),
    p999 = lib.percentile(load.latencies, 99.9),
  })
end)

--- Clients that disappear at every step, and origins that do everything wrong, mixed at random; meant for the sanitizer build. What
--- must hold: no worker dies, nothing is left behind (requests, connections, descriptors), memory comes back.
---
---   make BUILD=build/trialasan FLAVOUR=asan && MOONGATE=build/trialasan/moongate MG_ASAN=1 luajit bench/trials/vanish.lua [SECONDS] [SEED]
local cjson = require("cjson")
local cqueues = require("cqueues")
local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local lib = require("bench.trials.lib")
local origin_spec = require("spec.support.origin")
local run = require("spec.support.run")
local wait = require("spec.support.wait")
local ws = require("spec.support.ws")

local M = {}

local policy = [[
local mg = require "moongate"
return mg.policy {
  name = "waits", doc = "", options = mg.schema.record {}, on_error = "deny",
  new = function()
    return {
      access = function(_, ctx) mg.sleep(0.003) ctx.seen = true end,
      header = function(_, res) mg.sleep(0.003) res.headers["X-Seen"] = "1" end,
      body = function(_, chunk) if #chunk % 5 == 0 then mg.sleep(0.001) end return chunk:upper() end,
      log = function() mg.sleep(0.01) end,
    }
  end,
}
]]

--- Sites by host: plain, with hooks that wait, unbuffered, with buffered uploads, with retries, and to nowhere.
local config = [[
gateway { listen = "127.0.0.1:0", workers = 2, log = { access = false } }
local bad = upstream "bad" { "127.0.0.1:%d", health = { passive = false } }
local flaky = upstream "flaky" { "127.0.0.1:%d", "127.0.0.1:%d", health = { passive = { fails = 3, window = "200ms" } } }
local short = { connect = "300ms", send = "300ms", read = "300ms", total = "2s" }
local patient = { header = "400ms", body = "400ms", send = "400ms" }
site "plain"    { proxy = bad, timeouts = short, client = patient, retry = false }
site "hooks"    { proxy = bad, timeouts = short, client = patient, use = { policy "waits" {} } }
site "direct"   { proxy = bad, timeouts = short, client = patient, buffer = false }
site "upload"   { proxy = bad, timeouts = short, client = patient, buffer_request = { memory = "16k" } }
site "retried"  { proxy = bad, timeouts = short, client = patient, retry = { tries = 3, on = { "timeout", 502, 503 } } }
site "flaky"    { proxy = flaky, timeouts = short, client = patient }
site "nowhere"  { proxy = "http://127.0.0.1:%d", timeouts = short, client = patient, retry = false }
]]

local hosts = { "plain", "hooks", "direct", "upload", "retried", "flaky", "nowhere" }
local paths = {
  "/", "/sleep?ms=50", "/bulk?bytes=300000", "/bulk?bytes=3000000", "/drip?bytes=20000&rate=100000", "/chunked", "/chunked?pieces=200",
  "/hang?ms=1000", "/close", "/reset", "/garbage", "/badlength", "/badchunk", "/hugehead", "/half", "/cut", "/cut?bytes=0", "/cutchunk",
  "/toomuch", "/stall?ms=1000", "/bytes", "/interim", "/early", "/earlystay",
}

--- A request with a random path, host and body; the body not necessarily whole. Returns its bytes.
local function random_request(random)
  local host, path = hosts[random(#hosts)], paths[random(#paths)]
  local head = (" %s HTTP/1.1\r\nHost: %s\r\n"):format(path, host)
  local kind = random(6)
  if kind == 1 then
    local body = lib.pattern(0, random(200000))
    return "POST" .. head .. "Content-Length: " .. #body .. "\r\n\r\n" .. body
  elseif kind == 2 then
    local parts = { "PUT" .. head .. "Transfer-Encoding: chunked\r\n\r\n" }
    for _ = 1, random(20) do
      local piece = lib.pattern(0, random(9000))
      parts[#parts + 1] = ("%x\r\n%s\r\n"):format(#piece, piece)
    end
    return table.concat(parts) .. "0\r\n\r\n"
  elseif kind == 3 then
    return "POST" .. head .. "Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n" .. lib.pattern(0, 5000)
  elseif kind == 4 then
    return "HEAD" .. head .. "\r\n"
  elseif kind == 5 then
    return ("GET" .. head .. "\r\n"):rep(random(4)) -- pipelined
  end
  return "GET" .. head .. "\r\n"
end

local acts = {}

--- Stops somewhere in the request and leaves, with a FIN or a reset.
function acts.cut_request(c, random)
  local bytes = random_request(random)
  c:send(bytes:sub(1, random(#bytes)))
  if random(2) == 1 then
    cqueues.sleep(random() * 0.05)
  end
end

--- Sends everything and leaves before, or while, the answer comes.
function acts.leave_early(c, random)
  c:send(random_request(random))
  cqueues.sleep(random() * 0.1)
  if random(2) == 1 then
    c:some(random(20000))
  end
end

--- Reads slowly, then leaves.
function acts.read_slowly(c, random)
  c:send(random_request(random))
  for _ = 1, random(10) do
    if not c:some(500) then
      break
    end
    cqueues.sleep(random() * 0.08)
  end
end

--- Sends slowly: byte by byte at first, then hangs.
function acts.send_slowly(c, random)
  local bytes = random_request(random)
  for i = 1, math.min(#bytes, random(60)) do
    if not c:send(bytes:sub(i, i)) then
      return
    end
    cqueues.sleep(random() * 0.01)
  end
  if random(3) == 1 then
    c:is_closed(1)
  end
end

--- Says that it will send no more, and waits for the answer.
function acts.half_close(c, random)
  c:send(random_request(random))
  c:shutdown()
  c:is_closed(1)
end

function acts.nothing(_, random)
  cqueues.sleep(random() * 0.1)
end

--- A client as it should be, twice on one connection.
function acts.good(c, random)
  for _ = 1, 2 do
    c:send(("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n"):format(paths[random(#paths)], hosts[random(#hosts)]))
    if not c:response { may_fail = true } then
      return
    end
  end
end

function acts.garbage(c, random)
  local bytes = {}
  for i = 1, random(300) do
    bytes[i] = string.char(random(256) - 1)
  end
  c:send(table.concat(bytes) .. "\r\n\r\n")
  c:is_closed(0.5)
end

function acts.tunnel(c, random)
  c:send("GET /ws HTTP/1.1\r\nHost: plain\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    .. "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
  if random(3) == 1 then
    return
  end
  c:some(1000)
  c:send(ws.frame(("x"):rep(random(40000)), "binary", true))
  if random(2) == 1 then
    c:some(random(40000))
  end
end

local names = {}
for name in pairs(acts) do
  names[#names + 1] = name
end
table.sort(names)

local function visitor(gw, state, random)
  while not state.stopped do
    local name = names[random(#names)]
    local c, why = client.connect(gw.port, { timeout = 3, may_fail = true })
    if c then
      state.acts[name] = (state.acts[name] or 0) + 1
      local ok, err = pcall(acts[name], c, random)
      if not ok and not tostring(err):find("not an answer") then
        state.errors[tostring(err):sub(1, 80)] = true
      end
      if random(2) == 1 then
        c:reset()
      else
        c:close()
      end
    else
      state.refused[why] = (state.refused[why] or 0) + 1
      cqueues.sleep(0.05)
    end
  end
  state.running = state.running - 1
end

--- Memory of all workers, KiB.
local function memory(gw)
  local sum = 0
  for _, pid in ipairs(ctl.workers(gw)) do
    sum = sum + lib.memory(pid)
  end
  return sum
end

local function descriptors(gw)
  local sum = 0
  for _, pid in ipairs(ctl.workers(gw)) do
    sum = sum + lib.descriptors(pid)
  end
  return sum
end

--- What is left in the workers.
local function left(status)
  local n = { requests = 0, connections = 0, tunnels = 0, tasks = 0, pins = 0 }
  for _, worker in ipairs(status.workers) do
    for _, key in ipairs { "requests", "connections", "tunnels" } do
      n[key] = n[key] + worker[key]
    end
  end
  for _, generation in ipairs(status.generations) do
    n.tasks, n.pins = n.tasks + generation.tasks, n.pins + generation.pins
  end
  return n
end

local function spell(gw, state, options)
  state.stopped, state.running = false, options.clients
  for _ = 1, options.clients do
    run.spawn(function()
      visitor(gw, state, state.random)
    end)
  end
  cqueues.sleep(options.seconds / 2)
  state.stopped = true
  wait.till(function()
    return state.running == 0
  end, "the last visitors", 15)
  local status
  local ok = pcall(wait.till, function()
    status = ctl.status(gw)
    local n = left(status)
    return n.requests == 0 and n.connections == 0 and n.tunnels == 0 and n.tasks == 0 and n.pins == 0
  end, "everything to go", 10)
  if not ok then
    error("something is left: " .. cjson.encode { left = left(status), waits = status.waits, workers = status.workers }
      .. "\n" .. gw:stderr():sub(-2000), 0)
  end
  return { memory = memory(gw), descriptors = descriptors(gw) }
end

--- Pids of the workers, as text.
local function pids(gw)
  local list = ctl.workers(gw)
  table.sort(list)
  return table.concat(list, " ")
end

---@param options { seconds: number, clients: integer, seed?: integer }
---@return table figures
function M.run(options)
  math.randomseed(options.seed or os.time())
  local origin = lib.process("origin")
  local dead = origin_spec.dead_port()
  local gw = gateway.start(config:format(origin.port, dead, origin.port, dead), { files = { ["policies/waits.lua"] = policy } })
  local state = { acts = {}, errors = {}, refused = {}, random = math.random }
  local before = pids(gw)
  local first = spell(gw, state, options)
  local second = spell(gw, state, options)
  local status, metrics = ctl.status(gw), ctl.run(gw, "status", "--metrics"):stdout()
  local good = client.get(gw.port, "/", { Host = "plain" })
  return { first = first, second = second, state = state, status = status, metrics = metrics, same_workers = before == pids(gw),
    good = good.status, log = gw:stderr(), gateway = gw }
end

--- What must hold, as a list of what does not.
---@param r table
---@return string[]
function M.broken(r)
  local list = {}
  if not r.same_workers then
    list[#list + 1] = "a worker died"
  end
  if r.good ~= 200 then
    list[#list + 1] = "afterwards a good request got " .. tostring(r.good)
  end
  local is_measurable = not os.getenv("MG_ASAN") -- freed memory stays with the sanitizer for a while
  if is_measurable and r.second.memory > r.first.memory * 1.1 + 4096 then
    list[#list + 1] = ("memory grew from %d to %d KiB"):format(r.first.memory, r.second.memory)
  end
  for err in pairs(r.state.errors) do
    list[#list + 1] = "the trial itself failed: " .. err
  end
  return list
end

local function report(r)
  local rows = { { "visitors", "times" } }
  for _, name in ipairs(names) do
    rows[#rows + 1] = { name, r.state.acts[name] or 0 }
  end
  print(lib.table(rows))
  print(("after half the time: workers have %d KiB, %d descriptors; at the end %d KiB, %d descriptors"):format(r.first.memory,
    r.first.descriptors, r.second.memory, r.second.descriptors))
  print("left: no request, connection, tunnel, task or pinned generation; refused connections: " .. lib.reasons(r.state.refused))
  for _, name in ipairs { "requests_total", "requests_aborted_total", "responses_total", "upstream_attempts_total",
    "upstream_retries_total", "upstream_failures_total" } do
    local cells = {}
    for labels, value in r.metrics:gmatch("\nmoongate_" .. name .. "(%S*) (%d+)") do
      cells[#cells + 1] = (labels .. " "):gsub("^ ", "") .. value
    end
    print(name .. ": " .. table.concat(cells, ", "))
  end
end

if lib.is_main("vanish") then
  local seconds, seed = tonumber(arg[1]) or 20, tonumber(arg[2]) or os.time()
  lib.main(seconds + 80, function()
    print("seed " .. seed)
    local r = M.run { seconds = seconds, clients = 100, seed = seed }
    report(r)
    local broken = M.broken(r)
    for _, what in ipairs(broken) do
      print("BROKEN: " .. what)
    end
    return #broken == 0
  end)
end

return M

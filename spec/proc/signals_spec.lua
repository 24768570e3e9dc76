local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local signal = require("posix.signal")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local function proxy(port, options)
  return ([[
    gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, %s }
    site "*" { proxy = "http://127.0.0.1:%d" }
  ]]):format(options or "", port)
end

--- An origin whose answers wait at a gate, and a client whose request has reached it.
local function in_flight(options)
  local gate = origin.gate()
  local o = origin.start(function(_, res)
    res:wait(gate)
    return 200, {}, "late"
  end)
  local gw = gateway.start(proxy(o.port, options))
  local c = client.connect(gw.port)
  c:request("GET", "/")
  wait.till(function()
    return o:last()
  end, "the request at the origin")
  return gw, c, gate
end

describe("QUIT", function()
  it("finishes what is in flight, accepts nothing new, then ends with 0", run(function()
    local gw, c, gate = in_flight()
    gw:signal("QUIT")
    wait.till(function()
      return client.connect(gw.port, { may_fail = true, timeout = 1 }) == nil
    end, "the listener to close")
    assert.is_false(gw:has_ended())
    gate.open()
    assert.equal("late", c:response().body)
    assert.equal(0, gw:wait_end())
  end))

  it("closes idle keepalive connections politely", run(function()
    local o = origin.start()
    local gw = gateway.start(proxy(o.port))
    local c = client.connect(gw.port)
    assert.equal(200, c:get("/").status)
    gw:signal("QUIT")
    assert.is_true(c:is_closed())
    assert.equal(0, gw:wait_end())
  end))

  it("waits no longer than it is told to", run(function()
    local gw, c = in_flight('shutdown = "300ms"')
    local start = wait.now()
    gw:signal("QUIT")
    assert.equal(0, gw:wait_end())
    assert.is_true(wait.now() - start < run.scaled(3))
    assert.is_true(c:is_closed())
  end))
end)

describe("TERM and INT", function()
  for _, name in ipairs({ "TERM", "INT" }) do
    it(name .. " ends at once, whatever is in flight", run(function()
      local gw, c = in_flight()
      local start = wait.now()
      gw:signal(name)
      assert.equal(0, gw:wait_end())
      assert.is_true(wait.now() - start < run.scaled(1.5))
      assert.is_true(c:is_closed())
    end))
  end

  it("TERM cuts a graceful stop short", run(function()
    local gw = in_flight()
    gw:signal("QUIT")
    gw:wait_log("stopping gracefully()")
    gw:signal("TERM")
    assert.equal(0, gw:wait_end(3))
  end))
end)

describe("USR1", function()
  it("goes on in new log files after a rotation", run(function()
    local o = origin.start()
    local dir = tmp.dir()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 2, log = { access = "%s/access.json" } }
      site "*" { proxy = "http://127.0.0.1:%d" }
    ]]):format(dir, o.port))
    client.get(gw.port, "/before")
    wait.till(function()
      return (tmp.read(dir .. "/access.json") or ""):find("/before", 1, true)
    end, "the first line")
    assert(os.rename(dir .. "/access.json", dir .. "/access.1"))
    gw:signal("USR1")
    gw:wait_log("logs reopened()")
    wait.till(function()
      client.get(gw.port, "/after")
      return (tmp.read(dir .. "/access.json") or ""):find("/after", 1, true)
    end, "a line in the new file")
    assert.is_nil((tmp.read(dir .. "/access.1")):match("/after.*/after.*/after.*/after"))
  end))

  it("needs no rights of the workers on the folder", run(function()
    local dir = tmp.dir()
    require("posix.sys.stat").chmod(dir, 448) -- 0700
    local o = origin.start()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = "%s/a", error = "%s/e" } }
      site "*" { proxy = "http://127.0.0.1:%d" }
    ]]):format(dir, dir, o.port), { listeners = 0 })
    wait.till(function()
      return (tmp.read(dir .. "/e") or ""):find("listening on", 1, true)
    end, "the error log")
    os.rename(dir .. "/e", dir .. "/e.1")
    gw:signal("USR1")
    wait.till(function()
      return (tmp.read(dir .. "/e") or ""):find("logs reopened", 1, true)
    end, "the new error log")
  end))
end)

describe("a worker that dies", function()
  it("is replaced within a second, counted and logged with its signal", run(function()
    local gw = gateway.start((ctl.answering("alive"):gsub("workers = 1", "workers = 2")))
    local victim = ctl.workers(gw)[1]
    local start = wait.now()
    signal.kill(victim, signal.SIGKILL)
    wait.till(function()
      local pids = ctl.workers(gw)
      return #pids == 2 and pids[1] ~= victim and pids[2] ~= victim
    end, "the replacement")
    assert.is_true(wait.now() - start < run.scaled(1))
    assert.matches("worker " .. victim .. " ended with signal 9", gw:stderr(), 1, true)
    assert.equal(1, ctl.status(gw).counters.worker_restarts)
    assert.equal("alive", client.get(gw.port, "/").body)
  end))

  it("is replaced ever more slowly when it dies young again and again", run(function()
    local gw = gateway.start(ctl.answering("alive"))
    local last
    for _ = 1, 4 do
      local pid = wait.till(function()
        local now = ctl.workers(gw)[1]
        return now ~= last and now
      end, "a worker")
      last = pid
      signal.kill(pid, signal.SIGKILL)
    end
    gw:wait_log("workers die young: the next one starts in (%d+) ms")
    wait.till(function()
      return ctl.workers(gw)[1]
    end, "the last replacement")
    assert.equal("alive", client.get(gw.port, "/").body)
  end))

  it("loses nobody else's requests", run(function()
    local gate = origin.gate()
    local o = origin.start(function(_, res)
      res:wait(gate)
      return 200, {}, "kept"
    end)
    local gw = gateway.start((proxy(o.port):gsub("workers = 1", "workers = 2")))
    local clients = {}
    for i = 1, 6 do
      clients[i] = client.connect(gw.port)
      clients[i]:request("GET", "/")
    end
    wait.till(function()
      return #o.requests == 6
    end, "the requests")
    local counts = {}
    for _, worker in ipairs(ctl.status(gw).workers) do
      counts[#counts + 1] = { pid = worker.pid, n = worker.requests }
    end
    signal.kill(counts[1].pid, signal.SIGKILL)
    gate.open()
    local kept = 0
    for _, c in ipairs(clients) do
      local res = c:response({ may_fail = true })
      kept = kept + (res and res.body == "kept" and 1 or 0)
    end
    assert.equal(counts[2].n, kept)
  end))
end)

describe("a master that dies", function()
  it("takes its workers with it, after their requests are answered", run(function()
    local gw, c, gate = in_flight()
    local worker = ctl.workers(gw)[1]
    gw:signal("KILL")
    gw:wait_log("the master has died()")
    gate.open()
    assert.equal("late", c:response().body)
    wait.till(function()
      return not ctl.is_alive(worker)
    end, "the worker's end")
  end))
end)

describe("HUP", function()
  it("does not end a gateway that has its pid file but is not ready yet", run(function()
    local dir = tmp.dir()
    local file = tmp.write(dir, "gateway.lua", ([[
      gateway { listen = "127.0.0.1:0", workers = 1, pid = "%s/pid", log = { access = false } }
      site "*" { proxy = "http://127.0.0.1:9" }
    ]]):format(dir))
    -- a shell looks for the file without a pause: the time between file and readiness is short
    local script = [[for n in 1 2 3 4 5; do
      rm -f pid; "$0" run "$1" 2>/dev/null & p=$!; i=0
      while [ ! -e pid ] && [ $i -lt 3000000 ]; do i=$((i+1)); done
      kill -HUP $p; kill -QUIT $p; wait $p; echo $?
    done]]
    local binary = gateway.binary():gsub("^[^/]", require("posix.unistd").getcwd() .. "/%0")
    local pipe = assert(io.popen(("cd '%s' && timeout 60 sh -c '%s' '%s' '%s' 2>/dev/null"):format(dir, script, binary, file)))
    assert.equal(("0\n"):rep(5), pipe:read("*a"))
    pipe:close()
  end))
end)

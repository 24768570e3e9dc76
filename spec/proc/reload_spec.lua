local client = require("spec.support.client")
local cqueues = require("cqueues")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local signal = require("posix.signal")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")
local ws = require("spec.support.ws")

local function get(gw)
  return client.get(gw.port, "/").body
end

describe("a reload", function()
  it("by HUP flips to the new configuration; listeners and keepalive connections stay", run(function()
    local gw = gateway.start((ctl.answering("one"):gsub("workers = 1", "workers = 2")))
    local c = client.connect(gw.port)
    local pids = ctl.workers(gw)
    assert.equal("one", c:get("/").body)
    gw:reload((ctl.answering("two"):gsub("workers = 1", "workers = 2")))
    gw:wait_log("now generation (2)")
    assert.equal("two", c:get("/").body)
    assert.equal("two", get(gw))
    assert.same(pids, ctl.workers(gw))
  end))

  it("by command answers when it is done, with the generation", run(function()
    local gw = gateway.start(ctl.answering("one"))
    local done = ctl.reload(gw, ctl.answering("two"))
    assert.equal(0, done.status)
    assert.matches("now generation 2", done:stdout(), 1, true)
    assert.equal("two", get(gw))
  end))

  it("of a broken configuration says why and changes nothing", run(function()
    local gw = gateway.start(ctl.answering("one"))
    local done = ctl.reload(gw, 'site "*" { prxy = "http://127.0.0.1:1" }')
    assert.equal(1, done.status)
    assert.matches("gateway.lua:1:%d+: error: unknown option 'prxy'", done:stderr())
    assert.equal("one", get(gw))
    assert.matches("configuration rejected: generation 1 stays", gw:stderr(), 1, true)
    assert.equal(1, ctl.status(gw).generation)
  end))

  it("survives a configuration that never ends", run(function()
    local gw = gateway.start(ctl.answering("one"))
    local done = ctl.reload(gw, "while true do end")
    assert.equal(1, done.status)
    assert.equal("one", get(gw))
  end))

  it("of a port that is taken changes nothing", run(function()
    local o = origin.start()
    local gw = gateway.start(ctl.answering("one"))
    local done = ctl.reload(gw, (ctl.answering("two"):gsub('"127.0.0.1:0"', '{ "127.0.0.1:0", "127.0.0.1:' .. o.port .. '" }')))
    assert.equal(1, done.status)
    assert.matches("Address already in use", done:stderr(), 1, true)
    assert.equal("one", get(gw))
  end))

  it("answers a request in flight from the generation it began with", run(function()
    local gate = origin.gate()
    local o = origin.start(function(_, res)
      res:wait(gate)
      return 200, {}, "late"
    end)
    local config = [[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" { proxy = "http://127.0.0.1:%d",
        route "/*" { proxy = "http://127.0.0.1:%d", on = { header = function(req, res) res.headers["X-Gen"] = "%s" end } } }
    ]]
    local gw = gateway.start(config:format(o.port, o.port, "one"))
    local c = client.connect(gw.port)
    c:request("GET", "/")
    wait.till(function()
      return o:last()
    end, "the request at the origin")
    assert.equal(0, ctl.reload(gw, config:format(o.port, o.port, "two")).status)
    assert.equal(0, ctl.reload(gw, config:format(o.port, o.port, "three")).status)
    local pinned = ctl.status(gw).generations[1]
    assert.equal(1, pinned.number)
    assert.equal("pinned", pinned.role)
    assert.equal(1, pinned.pins)
    gate.open()
    local res = c:response()
    assert.equal("late", res.body)
    assert.equal("one", res.headers:get("X-Gen"))
    wait.till(function()
      return ctl.status(gw).generations[1].number ~= 1
    end, "generation 1 to be freed")
    assert.equal("three", c:get("/").headers:get("X-Gen"))
  end))

  it("leaves a WebSocket alone", run(function()
    local o = origin.start(function(req, res)
      ws.accept(req, res, function(peer)
        peer:echo()
      end)
    end)
    local config = [[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" { route "/*" { proxy = "http://127.0.0.1:%d" } } -- %s
    ]]
    local gw = gateway.start(config:format(o.port, "one"))
    local socket = ws.connect(gw.port, "/")
    socket:send("before")
    assert.equal("before", select(2, socket:receive()))
    for i = 1, 3 do
      assert.equal(0, ctl.reload(gw, config:format(o.port, i)).status)
    end
    socket:send("after")
    assert.equal("after", select(2, socket:receive()))
  end))

  it("opens new addresses and closes old ones", run(function()
    local gw = gateway.start(ctl.answering("one"))
    local mark = gw:mark()
    local both = (ctl.answering("two"):gsub('"127.0.0.1:0"', '{ "127.0.0.1:0", "127.0.0.2:0" }'))
    assert.equal(0, ctl.reload(gw, both).status)
    local second = "127.0.0.2:" .. gw:wait_log("listening on 127.0.0.2:(%d+)", mark)
    assert.equal("two", client.get(second, "/").body)
    assert.equal("two", get(gw))
    assert.equal(0, ctl.reload(gw, ctl.answering("three")).status)
    wait.till(function()
      return client.connect(second, { may_fail = true }) == nil
    end, "the second listener to close")
    assert.equal("three", get(gw))
  end))

  it("forks and drains workers when their number changes", run(function()
    local gw = gateway.start(ctl.answering("one"))
    local first = ctl.workers(gw)[1]
    assert.equal(0, ctl.reload(gw, (ctl.answering("two"):gsub("workers = 1", "workers = 3"))).status)
    wait.till(function()
      return #ctl.workers(gw) == 3
    end, "three workers")
    assert.equal(0, ctl.reload(gw, ctl.answering("three")).status)
    wait.till(function()
      local pids = ctl.workers(gw)
      return #pids == 1 and pids[1] == first and #ctl.status(gw).workers == 1
    end, "one worker again")
    assert.equal("three", get(gw))
  end))

  it("replaces the workers when the user changes", run(function()
    if require("posix.unistd").geteuid() ~= 0 then
      return pending("not root")
    end
    local gw = gateway.start(ctl.answering("one"))
    local first = ctl.workers(gw)[1]
    assert.equal(0, ctl.reload(gw, ctl.answering("two", 'user = "root"')).status)
    local fresh = wait.till(function()
      local pids = ctl.workers(gw)
      return #pids == 1 and pids[1] ~= first and pids[1]
    end, "a new worker alone")
    assert.matches("^0%s", ctl.proc(fresh, "Uid"))
    assert.equal("two", get(gw))
  end))

  it("loses no request of keepalive clients", run(function()
    local o = origin.start()
    local config = [[
      gateway { listen = "127.0.0.1:0", workers = 2, log = { access = false } }
      site "*" { route "/*" { proxy = "http://127.0.0.1:%d" } } -- %s
    ]]
    local gw = gateway.start(config:format(o.port, "0"))
    local stop, answered, failed = false, 0, {}
    for i = 1, 4 do
      run.spawn(function()
        local c = client.connect(gw.port)
        while not stop do
          assert(c:request("GET", "/" .. i))
          local res, why = c:response({ may_fail = true })
          if res and res.body == "ok" then
            answered = answered + 1
          else
            failed[#failed + 1] = why or res.status
          end
        end
      end)
    end
    for i = 1, 10 do
      assert.equal(0, ctl.reload(gw, config:format(o.port, i)).status)
    end
    stop = true
    cqueues.poll(0.01)
    assert.same({}, failed)
    assert.is_true(answered > 20)
  end))

  it("runs once more for a request that comes meanwhile", run(function()
    local gw = gateway.start(ctl.answering("one"))
    gw:write(gw.name, ctl.answering("two"))
    for _ = 1, 5 do
      gw:signal("HUP")
    end
    gw:wait_log("now generation (2)")
    wait.till(function()
      return ctl.status(gw).swap.state == "idle"
    end, "the end of the reloads")
    assert.equal("two", get(gw))
  end))

  it("reads nothing from disk in a worker that is restarted", run(function()
    local gw = gateway.start(ctl.answering("one"))
    gw:write(gw.name, "this is not Lua")
    local victim = ctl.workers(gw)[1]
    signal.kill(victim, signal.SIGKILL)
    wait.till(function()
      local pid = ctl.workers(gw)[1]
      return pid and pid ~= victim
    end, "the replacement")
    assert.equal("one", get(gw))
  end))

  it("keeps memory and descriptors flat", run(function()
    local gw = gateway.start(ctl.answering("one"))
    local pid = ctl.workers(gw)[1]
    local function measure()
      local fds = 0
      for _ in require("lfs").dir("/proc/" .. pid .. "/fd") do
        fds = fds + 1
      end
      local rss = function(of)
        return tonumber(ctl.proc(of, "VmRSS"):match("%d+"))
      end
      return rss(pid), rss(gw.pid), fds
    end
    local function cycle(n)
      for i = 1, n do
        assert.equal(0, ctl.reload(gw, ctl.answering("v" .. i)).status)
        assert.equal(1, ctl.reload(gw, "site (").status)
      end
    end
    cycle(15)
    local worker, master, fds = measure()
    cycle(30)
    local worker2, master2, fds2 = measure()
    assert.equal(fds, fds2)
    if not os.getenv("MG_ASAN") then
      assert.is_true(worker2 <= worker * 1.1, ("worker %d -> %d KiB"):format(worker, worker2))
      assert.is_true(master2 <= master * 1.1, ("master %d -> %d KiB"):format(master, master2))
    end
  end))
end)

describe("a rollback", function()
  it("returns to the previous generation at once", run(function()
    local gw = gateway.start((ctl.answering("one"):gsub("workers = 1", "workers = 2")))
    assert.equal(0, ctl.reload(gw, (ctl.answering("two"):gsub("workers = 1", "workers = 2"))).status)
    assert.equal("two", get(gw))
    local done = ctl.run(gw, "reload", "--rollback")
    assert.equal(0, done.status)
    assert.matches("back to generation 1", done:stdout(), 1, true)
    assert.equal("one", get(gw))
    local status = ctl.status(gw)
    assert.equal(1, status.generation)
    assert.equal(1, status.counters.rollbacks)
  end))

  it("still works when the probation is over and a worker was replaced", run(function()
    local gw = gateway.start(ctl.answering("one", 'probation = "50ms"'))
    assert.equal(0, ctl.reload(gw, ctl.answering("two", 'probation = "50ms"')).status)
    wait.till(function()
      return #ctl.status(gw).generations == 1
    end, "the old generation to go")
    signal.kill(ctl.workers(gw)[1], signal.SIGKILL)
    wait.till(function()
      return #ctl.workers(gw) == 1
    end, "the replacement")
    assert.equal(0, ctl.run(gw, "reload", "--rollback").status)
    assert.equal("one", get(gw))
  end))

  it("opens the listeners of then again", run(function()
    local other = "127.0.0.2:" .. origin.dead_port()
    local both = (ctl.answering("one"):gsub('"127.0.0.1:0"', '{ "127.0.0.1:0", "' .. other .. '" }'))
    local gw = gateway.start(both, { listeners = 2 })
    assert.equal(0, ctl.reload(gw, ctl.answering("two")).status)
    assert.equal(0, ctl.run(gw, "reload", "--rollback").status)
    assert.equal("one", client.get(other, "/").body)
  end))

  it("without a previous generation is refused", run(function()
    local gw = gateway.start(ctl.answering("one"))
    local done = ctl.run(gw, "reload", "--rollback")
    assert.equal(1, done.status)
    assert.matches("no previous generation", done:stderr(), 1, true)
  end))
end)

describe("--watch", function()
  local function watching(config, files)
    return gateway.start(config, { args = { "run", "--watch", "{conf}" }, files = files })
  end

  it("reloads when the configuration changes, also by a rename over it", run(function()
    local gw = watching(ctl.answering("one"))
    gw:write(gw.name, ctl.answering("two"))
    wait.till(function()
      return get(gw) == "two"
    end, "the new answer")
    gw:write("other", ctl.answering("three"))
    assert(os.rename(gw.dir .. "/other", gw.dir .. "/" .. gw.name))
    wait.till(function()
      return get(gw) == "three"
    end, "the newer answer")
  end))

  it("keeps the running generation while the file is broken", run(function()
    local gw = watching(ctl.answering("one"))
    gw:write(gw.name, "site (")
    gw:wait_log("generation 1 stays()")
    assert.equal("one", get(gw))
    gw:write(gw.name, ctl.answering("two"))
    wait.till(function()
      return get(gw) == "two"
    end, "the repaired configuration")
  end))

  it("makes no new generation when the content is the same", run(function()
    local gw = watching(ctl.answering("one"))
    local mark = gw:mark()
    gw:write(gw.name, ctl.answering("one"))
    gw:wait_log("files changed()", mark)
    wait.till(function()
      return ctl.status(gw).swap.text == "unchanged"
    end, "the reload")
    assert.equal(1, ctl.status(gw).generation)
  end))
end)

describe("a log that cannot be opened", function()
  it("rejects the configuration", run(function()
    local gw = gateway.start(ctl.answering("one"))
    local done = ctl.reload(gw, (ctl.answering("two"):gsub("access = false", 'access = "/nonexistent/dir/a.log"')))
    assert.equal(1, done.status)
    assert.matches("/nonexistent/dir/a.log", done:stderr(), 1, true)
    assert.equal("one", get(gw))
    assert.is_nil(tmp.read("/nonexistent/dir/a.log"))
  end))
end)

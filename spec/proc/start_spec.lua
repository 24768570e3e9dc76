local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local unistd = require("posix.unistd")
local wait = require("spec.support.wait")

local function exec(...)
  return gateway.exec(nil, { args = { ... } })
end

describe("the command line", function()
  it("prints its help and ends with 0", run(function()
    local done = exec("help")
    assert.equal(0, done.status)
    assert.matches("moongate run FILE", done:stdout())
  end))

  it("refuses what it does not know with status 2", run(function()
    for _, words in ipairs({ { "bogus" }, { "--bogus" }, { "-x" }, { "-c" }, { "run" }, { "run", "a=b", "-c", "x" } }) do
      local done = exec(unpack(words))
      assert.equal(2, done.status, table.concat(words, " "))
      assert.matches("^moongate: ", done:stderr())
    end
  end))

  it("shows the version with -v and -V", run(function()
    assert.matches("^moongate/%d+%.%d+", exec("-v"):stdout())
    assert.matches("libraries: ", exec("-V"):stdout())
  end))

  it("says that a file is missing, by its name", run(function()
    local done = exec("run", "/nonexistent/gateway.lua")
    assert.equal(1, done.status)
    assert.matches("/nonexistent/gateway.lua", done:stderr(), 1, true)
  end))

  it("checks with -t and prints the compiled configuration with -T", run(function()
    local done = gateway.exec(ctl.answering("x"), { args = { "-t", "-c", "{conf}" } })
    assert.equal(0, done.status)
    assert.matches("configuration is fine", done:stderr(), 1, true)
    done = gateway.exec(ctl.answering("x"), { args = { "-T", "-c", "{conf}" } })
    assert.matches('listens%[0%]%.address = "127.0.0.1:0"', done:stdout())
    done = gateway.exec(ctl.answering("x"), { args = { "-tqc", "{conf}" } })
    assert.equal(0, done.status)
    assert.equal("", done:stderr())
  end))

  it("shows all errors of a broken configuration with their places", run(function()
    local done = gateway.exec('site "*" { prxy = 1 }\nsite "b" { routez = 2 }\n', { args = { "-t", "-c", "{conf}" } })
    assert.equal(1, done.status)
    assert.matches("gateway.lua:1:", done:stderr(), 1, true)
    assert.matches("gateway.lua:2:", done:stderr(), 1, true)
  end))
end)

describe("the start", function()
  it("writes the pid file once it listens and removes it at the end", run(function()
    local gw = gateway.start(ctl.answering("up", 'pid = "run.pid"'))
    local path = gw.dir .. "/run.pid"
    wait.till(function()
      return tmp.read(path)
    end, "the pid file")
    assert.equal(gw.pid, tonumber(tmp.read(path)))
    assert.equal("up", client.get(gw.port, "/").body)
    gw:stop()
    assert.is_nil(tmp.read(path))
  end))

  it("logs its listeners in the order of the configuration", run(function()
    local path = tmp.dir() .. "/one.sock"
    local gw = gateway.start(([[
      gateway { listen = { "127.0.0.1:0", "unix:%s", "127.0.0.2:0" }, workers = 1, log = { access = false } }
      site "*" { proxy = "http://127.0.0.1:1" }
    ]]):format(path), { listeners = 3 })
    assert.matches("^127", gw.addresses[1])
    assert.equal("unix:" .. path, gw.addresses[2])
    assert.matches("^127.0.0.2:%d+$", gw.addresses[3])
  end))

  it("names a port that is taken and harms nobody", run(function()
    local gw = gateway.start(ctl.answering("first", 'pid = "run.pid"'))
    local second = gateway.exec((ctl.answering("second"):gsub("127.0.0.1:0", "127.0.0.1:" .. gw.port)))
    assert.equal(1, second.status)
    assert.matches("127.0.0.1:" .. gw.port .. ": Address already in use", second:stderr(), 1, true)
    assert.equal("first", client.get(gw.port, "/").body)
  end))

  it("refuses to start when a policy fails in new", run(function()
    local done = gateway.exec([[
      gateway { listen = "127.0.0.1:0" }
      site "*" { proxy = "http://127.0.0.1:1", use = { policy "bad" {} } }
    ]], { files = { ["policies/bad.lua"] = "", ["bad.lua"] = "" } })
    assert.equal(1, done.status)
    assert.are_not.equal("", done:stderr())
  end))

  it("serves HOST=URL without a file", run(function()
    local o = origin.start()
    local gw = gateway.start("", { args = { "run", (":0=127.0.0.1:%d"):format(o.port) }, listeners = 1 })
    assert.equal("ok", client.get(gw.port, "/", { Host = "x" }).body)
  end))

  it("starts as many workers as it is told", run(function()
    local gw = gateway.start((ctl.answering("x"):gsub("workers = 1", "workers = 3")))
    assert.equal(3, #ctl.workers(gw))
  end))

  it("drops to nobody when started as root, for good", run(function()
    if unistd.geteuid() ~= 0 then
      return pending("not root")
    end
    local gw = gateway.start(ctl.answering("x"))
    local pid = ctl.workers(gw)[1]
    assert.matches("^65534%s+65534%s+65534%s+65534", ctl.proc(pid, "Uid"))
    assert.equal("1", ctl.proc(pid, "NoNewPrivs"))
    assert.equal("0000000000000000", ctl.proc(pid, "CapEff"))
    assert.matches("^0%s", ctl.proc(gw.pid, "Uid"))
  end))

  it("keeps root for its workers when told so", run(function()
    if unistd.geteuid() ~= 0 then
      return pending("not root")
    end
    local gw = gateway.start(ctl.answering("x", 'user = "root"'))
    assert.matches("^0%s+0%s", ctl.proc(ctl.workers(gw)[1], "Uid"))
  end))

  it("refuses a user that does not exist", run(function()
    if unistd.geteuid() ~= 0 then
      return pending("not root")
    end
    local done = gateway.exec(ctl.answering("x", 'user = "no-such-user"'))
    assert.equal(1, done.status)
    assert.matches('no%-such%-user', done:stderr())
  end))

  it("goes to the background with -d once everything is up", run(function()
    local dir = tmp.dir()
    local done = gateway.exec(ctl.answering("background"), {
      args = { "-d", "-c", "{conf}", "-e", dir .. "/log", "-g", "pid " .. dir .. "/pid;" } })
    assert.equal(0, done.status)
    local pid = tonumber(tmp.read(dir .. "/pid"))
    local port = tmp.read(dir .. "/log"):match("listening on 127.0.0.1:(%d+)")
    local body = client.get(tonumber(port), "/").body
    local stopped = ctl.run(done, "stop")
    assert.equal("background", body)
    assert.equal(0, stopped.status, stopped:stderr())
    assert.is_false(ctl.is_alive(pid))
  end))

  it("tells who typed -d when the start fails", run(function()
    local gw = gateway.start(ctl.answering("x"))
    local done = gateway.exec((ctl.answering("y"):gsub("127.0.0.1:0", "127.0.0.1:" .. gw.port)),
      { args = { "-d", "-c", "{conf}" } })
    assert.equal(1, done.status)
    assert.matches("Address already in use", done:stderr(), 1, true)
  end))

  it("tells systemd when it is ready and when it stops", run(function()
    local posix = require("posix.sys.socket")
    local dir = tmp.dir()
    local fd = assert(posix.socket(posix.AF_UNIX, posix.SOCK_DGRAM, 0))
    assert(posix.bind(fd, { family = posix.AF_UNIX, path = dir .. "/notify" }))
    posix.setsockopt(fd, posix.SOL_SOCKET, posix.SO_RCVTIMEO, 5, 0)
    run.defer(function()
      unistd.close(fd)
    end)
    local gw = gateway.start(ctl.answering("x"), { env = { NOTIFY_SOCKET = dir .. "/notify" } })
    assert.equal("READY=1", posix.recv(fd, 100))
    gw:stop()
    assert.equal("STOPPING=1", posix.recv(fd, 100))
  end))
end)

local cjson = require("cjson")
local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local socket = require("cqueues.socket")
local tmp = require("spec.support.tmp")

local stamp = [[
  local mg = require "moongate"
  return mg.policy {
    name = "stamp",
    doc = "Stamps answers.",
    options = mg.schema.record {},
    new = function()
      return { header = function(_, res) res.headers["X-Stamp"] = "1" end }
    end,
  }
]]

local function config(port, more)
  return ([[
    gateway { listen = "127.0.0.1:0", workers = 2, log = { access = false }, shared = { visits = "64k" } %s }
    local app = upstream "app" { "127.0.0.1:%d", { "127.0.0.1:1", backup = true } }
    site "*" { route "/*" { proxy = app, use = { policy "stamp" {} } } }
  ]]):format(more or "", port)
end

local function start(port, more)
  return gateway.start(config(port, more), { files = { ["policies/stamp.lua"] = stamp } })
end

describe("moongate status", function()
  it("shows generations, workers, listeners, upstreams, policies and dictionaries as JSON", run(function()
    local o = origin.start()
    local gw = start(o.port)
    for _ = 1, 3 do
      assert.equal(200, client.get(gw.port, "/").status)
    end
    local page = ctl.status(gw)
    assert.equal(gw.pid, page.pid)
    assert.equal("running", page.state)
    assert.equal(1, page.generation)
    assert.matches("^%x+$", page.hash)
    assert.equal(64, #page.hash)
    assert.same({ number = 1, role = "current", workers = 2, pins = 0 }, {
      number = page.generations[1].number, role = page.generations[1].role,
      workers = page.generations[1].workers, pins = page.generations[1].pins })
    assert.is_true(page.generations[1].lua_bytes > 1000)
    assert.equal(2, #page.workers)
    assert.is_true(page.workers[1].answered)
    assert.same({ { address = "127.0.0.1:0", actual = "127.0.0.1:" .. gw.port } }, page.listeners)
    local app = page.upstreams[1]
    assert.equal("app", app.name)
    assert.equal(2, #app.peers)
    assert.equal("127.0.0.1:" .. o.port, app.peers[1].address)
    assert.equal("up", app.peers[1].state)
    assert.equal(3, app.peers[1].attempts)
    assert.equal("backup", app.peers[2].tier)
    assert.equal("stamp", page.policies[1].name)
    assert.matches("^%x+$", page.policies[1].hash)
    assert.equal("visits", page.dicts[1].name)
    assert.equal(65536, page.dicts[1].size)
    assert.equal(cjson.null, page.previous)
  end))

  it("speaks to people without --json", run(function()
    local o = origin.start()
    local gw = start(o.port)
    local done = ctl.run(gw, "status")
    assert.equal(0, done.status)
    for _, word in ipairs({ "GENERATION", "WORKER", "LISTENERS", "UPSTREAM", "policy", "127.0.0.1:" .. gw.port }) do
      assert.is_truthy(done:stdout():find(word, 1, true), word)
    end
  end))

  it("prints all figures as Prometheus text with --metrics", run(function()
    local o = origin.start()
    local gw = start(o.port)
    client.get(gw.port, "/")
    local text = ctl.run(gw, "status", "--metrics"):stdout()
    assert.matches("\nmoongate_worker_starts_total 2\n", text)
    assert.matches("\nmoongate_generation 1\n", text)
  end))

  it("says so when no gateway runs", run(function()
    local done = gateway.exec("", { args = { "status", "-c", "{conf}" } })
    assert.equal(1, done.status)
    assert.matches("no gateway answers", done:stderr(), 1, true)
  end))

  it("shows certificates with their end", run(function()
    local certs = require("spec.support.certs")
    local pair = certs.make("localhost")
    local gw = gateway.start(([[
      gateway { workers = 1, log = { access = false } }
      site "localhost" { tls = %q, listen = "127.0.0.1:0 tls", proxy = "http://127.0.0.1:1" }
    ]]):format(pair.dir))
    local cert = ctl.status(gw).certificates[1]
    assert.equal("localhost", cert.site)
    assert.equal(pair.cert, cert.cert)
    assert.is_true(math.abs(cert.not_after - os.time() - 30 * 86400) < 86400)
  end))
end)

describe("the admin socket", function()
  local function ask(path, line)
    local s = socket.connect({ path = path })
    s:setmode("bn", "bn")
    s:onerror(function(_, _, err)
      return err
    end)
    s:settimeout(5)
    s:write(line)
    s:flush()
    local answer = s:read("*a")
    s:close()
    return answer
  end

  it("is where the configuration says, for its owner alone, and gone at the end", run(function()
    local dir = tmp.dir()
    local o = origin.start()
    local path = dir .. "/admin.sock"
    local gw = start(o.port, (', admin = { socket = "%s" }'):format(path))
    local stat = require("posix.sys.stat").stat(path)
    assert.equal(384, stat.st_mode % 512) -- 0600
    assert.equal(gw.pid, cjson.decode(ask(path, "status\n")).pid)
    assert.equal(0, ctl.run(gw, "status").status) -- by the configuration's name
    gw:stop()
    assert.is_nil(require("posix.sys.stat").stat(path))
  end))

  it("refuses what it does not know, and long lines", run(function()
    local o = origin.start()
    local path = tmp.dir() .. "/admin.sock"
    start(o.port, (', admin = { socket = "%s" }'):format(path))
    assert.is_false(cjson.decode(ask(path, "bogus\n")).ok)
    assert.equal("", ask(path, ("x"):rep(1000)) or "")
    assert.is_true(#ask(path, "status\r\n") > 100)
  end))

  it("stops the gateway and waits for its end", run(function()
    local o = origin.start()
    local gw = start(o.port)
    local done = ctl.run(gw, "stop")
    assert.equal(0, done.status)
    assert.equal(0, gw:wait_end(2))
  end))

  it("sends signals for -s", run(function()
    local o = origin.start()
    local gw = start(o.port)
    assert.equal(0, ctl.run(gw, "-s", "reload").status)
    gw:wait_log("now generation (2)")
    assert.equal(0, ctl.run(gw, "-s", "reopen").status)
    gw:wait_log("logs reopened()")
    assert.equal(2, ctl.run(gw, "-s", "dance").status)
    assert.equal(0, ctl.run(gw, "-s", "quit").status)
    assert.equal(0, gw:wait_end())
  end))
end)

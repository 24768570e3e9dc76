--- `moongate upstream`: servers that are added, drained, put down, brought up and weighted while requests run.
local cjson = require("cjson")
local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")
local ws = require("spec.support.ws")

local function address(o)
  return "127.0.0.1:" .. o.port
end

--- Origins that count what they answer.
local function origins(n)
  local out = {}
  for i = 1, n do
    local o
    o = origin.start(function()
      o.seen = o.seen + 1
      return 200, nil, "ok"
    end)
    o.seen = 0
    out[i] = o
  end
  return out
end

local function config(list, more)
  local peers = {}
  for i, o in ipairs(list) do
    peers[i] = ("%q"):format(address(o))
  end
  more = more or {}
  return ([[
    gateway { listen = "127.0.0.1:0", workers = %d, log = { access = false }, admin = { state = %q } }
    upstream "app" { %s, balance = "round_robin", %s }
    site "*" { proxy = "app" }
  ]]):format(more.workers or 2, more.state or (tmp.dir() .. "/changes"), table.concat(peers, ", "), more.upstream or "")
end

--- Clients that ask all the time on connections of their own; `stop` ends them and says how many requests failed, and how.
local function load_on(gw, clients)
  local l = { running = true, sent = 0, failed = {}, alive = clients }
  for _ = 1, clients do
    run.spawn(function()
      local ok, err = pcall(function()
        local c = client.connect(gw.port)
        while l.running do
          local status = c:get("/").status
          l.sent = l.sent + 1
          if status ~= 200 then
            table.insert(l.failed, status)
          end
        end
        c:close()
      end)
      if not ok then
        table.insert(l.failed, tostring(err))
      end
      l.alive = l.alive - 1
    end)
  end
  --- Until `n` more requests were answered.
  function l:more(n)
    local upto = self.sent + n
    wait.till(function()
      return self.sent >= upto or #self.failed > 0
    end, "requests to be answered", 20)
  end
  function l:stop()
    self.running = false
    wait.till(function()
      return self.alive == 0
    end, "the clients to end")
    return self.failed
  end
  return l
end

local function change(gw, ...)
  local done = ctl.run(gw, "upstream", ...)
  assert(done.status == 0, done:stderr())
  return done:stdout()
end

local function refused(gw, ...)
  local done = ctl.run(gw, "upstream", ...)
  assert.equal(1, done.status)
  return done:stderr()
end

--- The servers as `list --json` shows them, by address.
local function listed(gw)
  local out = {}
  for _, p in ipairs(cjson.decode(change(gw, "list", "--json")).upstreams[1].peers) do
    out[p.address] = p
  end
  return out
end

local function clear(list)
  for _, o in ipairs(list) do
    o.seen = 0
  end
end

describe("moongate upstream", function()
  it("adds, weights, drains, downs, brings up and removes under load, without a failed request", run(function()
    local o = origins(3)
    local gw = gateway.start(config({ o[1], o[2] }))
    local l = load_on(gw, 8)
    l:more(200)
    assert.equal("app: " .. address(o[3]) .. " added (2 workers)\n", change(gw, "add", "app", address(o[3]), "weight=2"))
    clear(o)
    l:more(400)
    assert.is_true(o[3].seen > o[1].seen * 1.5, "weight 2 gets twice as much")
    assert.matches("has weight 8", change(gw, "weight", "app", address(o[2]), "8"), 1, true)
    clear(o)
    l:more(400)
    assert.is_true(o[2].seen > o[3].seen * 2)
    assert.matches("drains: no new requests", change(gw, "drain", "app", address(o[1])), 1, true)
    change(gw, "down", "app", address(o[2]))
    l:more(20) -- what was in flight
    clear(o)
    l:more(200)
    assert.same({ 0, 0 }, { o[1].seen, o[2].seen })
    change(gw, "up", "app", address(o[1]))
    change(gw, "remove", "app", address(o[3]))
    l:more(20)
    clear(o)
    l:more(200)
    assert.is_true(o[1].seen >= 200)
    assert.same({ 0, 0 }, { o[2].seen, o[3].seen })
    assert.same({}, l:stop())
  end))

  it("lets requests and tunnels in flight at a drained server finish", run(function()
    local gate = origin.gate()
    local slow = origin.start(function(req, res)
      if req.path == "/ws" then
        return ws.accept(req, res, function(s)
          s:echo()
        end)
      end
      res:wait(gate)
      return 200, nil, "late"
    end)
    local gw = gateway.start(config({ slow }, { workers = 1 }))
    local c = client.connect(gw.port)
    c:request("GET", "/slow")
    local tunnel = ws.connect(gw.port, "/ws")
    wait.till(function()
      return #slow.requests == 2
    end, "both to arrive")
    change(gw, "drain", "app", address(slow))
    assert.equal("draining", listed(gw)[address(slow)].state)
    assert.equal(2, listed(gw)[address(slow)].in_flight)
    assert.equal(502, client.get(gw.port, "/").status)
    tunnel:send("still here")
    assert.equal("still here", select(2, tunnel:receive()))
    gate:open()
    assert.equal("late", c:response().body)
    tunnel:close()
    wait.till(function()
      return listed(gw)[address(slow)].state == "drained"
    end, "it to be drained")
  end))

  it("removes a server whose requests are in flight without cutting them", run(function()
    local gate, o = origin.gate(), origins(1)
    local slow = origin.start(function(_, res)
      res:wait(gate)
      return 200, nil, "late"
    end)
    local gw = gateway.start(config(o, { workers = 1 }))
    change(gw, "add", "app", address(slow))
    change(gw, "drain", "app", address(o[1]))
    local c = client.connect(gw.port)
    c:request("GET", "/")
    wait.till(function()
      return #slow.requests == 1
    end, "it to arrive")
    change(gw, "remove", "app", address(slow))
    change(gw, "up", "app", address(o[1]))
    assert.equal("ok", client.get(gw.port, "/").body)
    gate:open()
    assert.equal("late", c:response().body)
  end))

  it("keeps changes over reloads, dead workers and restarts", run(function()
    local o = origins(3)
    local text = config({ o[1], o[2] })
    local gw = gateway.start(text)
    change(gw, "drain", "app", address(o[1]))
    change(gw, "add", "app", address(o[3]))
    change(gw, "weight", "app", address(o[2]), "3")
    local function check()
      local p = listed(gw)
      assert.same({ "drained", "up", "up" }, { p[address(o[1])].state, p[address(o[2])].state, p[address(o[3])].state })
      assert.same({ 3, true, false }, { p[address(o[2])].weight, p[address(o[3])].added, p[address(o[2])].added })
      clear(o)
      for _ = 1, 8 do
        assert.equal(200, client.get(gw.port, "/").status)
      end
      assert.equal(0, o[1].seen)
      assert.is_true(o[2].seen > 0 and o[3].seen > 0)
    end
    check()
    assert.equal(0, ctl.reload(gw, text .. "-- another one\n").status)
    check()
    local pids = ctl.workers(gw)
    require("posix.signal").kill(pids[1], 9)
    wait.till(function()
      local now = ctl.workers(gw)
      return #now == 2 and now[1] ~= pids[1] and now[2] ~= pids[1]
    end, "another worker")
    check()
    assert.equal(0, gw:stop())
    gw = gateway.start(text)
    gw:wait_log("upstream changes: (3), from")
    check()
  end))

  it("has what was added stay when the configuration gets it too, and forgets nothing about the others", run(function()
    local o = origins(2)
    local state = tmp.dir() .. "/state"
    local gw = gateway.start(config({ o[1] }, { state = state }))
    change(gw, "add", "app", address(o[2]))
    local l = load_on(gw, 4)
    assert.equal(0, ctl.reload(gw, config({ o[1], o[2] }, { state = state })).status)
    assert.is_false(listed(gw)[address(o[2])].added)
    l:more(50)
    assert.equal(0, ctl.reload(gw, config({ o[1] }, { state = state })).status)
    assert.is_true(listed(gw)[address(o[2])].added)
    l:more(50)
    assert.same({}, l:stop())
  end))

  it("starts without a damaged file, says what is wrong with it and keeps it aside", run(function()
    local o = origins(1)
    local dir = tmp.dir()
    local cases = {
      ["line 1: it does not begin with"] = "rubbish\n",
      ["line 2: the end is missing"] = "# moongate upstreams 1\napp " .. address(o[1]) .. " down\n",
      ["line 2: it counts other servers than there are"] = "# moongate upstreams 1\nend 3\n",
      ['line 2: weight="0": it is a whole number from 1 to 65535'] = "# moongate upstreams 1\napp x:1 weight=0\nend 1\n",
      ["line 2: it is no upstream, server and change"] = "# moongate upstreams 1\napp\nend 1\n",
      ["line 3: app x:1 is there twice"] = "# moongate upstreams 1\napp x:1 down\napp x:1 up\nend 2\n",
      ['line 2: unknown word "dwn"'] = "# moongate upstreams 1\napp x:1 dwn\nend 1\n",
      ["line 3: something follows the end"] = "# moongate upstreams 1\nend 0\napp x:1 up\n",
    }
    for what, text in pairs(cases) do
      tmp.write(dir, "state", text)
      local gw = gateway.start(config(o, { state = dir .. "/state", workers = 1 }))
      assert.is_truthy(gw:stderr():find('"' .. dir .. '/state" is damaged and not used: ' .. what, 1, true), gw:stderr())
      assert.equal(200, client.get(gw.port, "/").status)
      assert.equal(text, tmp.read(dir .. "/state.damaged"))
      change(gw, "drain", "app", address(o[1]))
      assert.equal("# moongate upstreams 1\napp " .. address(o[1]) .. " drain\nend 1\n", tmp.read(dir .. "/state"))
      gw:stop("TERM")
    end
  end))

  it("changes nothing when the file cannot be written", run(function()
    local o = origins(1)
    local gw = gateway.start(config(o, { state = "/proc/none/state", workers = 1 }))
    local said = refused(gw, "drain", "app", address(o[1]))
    assert.matches('nothing was changed: "/proc/none/state" cannot be written: No such file', said, 1, true)
    assert.equal(200, client.get(gw.port, "/").status)
  end))

  it("keeps changes in a folder of its own when the configuration names no file", run(function()
    local o, dir = origins(1), tmp.dir()
    local text = ([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      upstream "app" { %q }
      site "*" { proxy = "app" }
    ]]):format(address(o[1]))
    local gw = gateway.start(text, { env = { MOONGATE_STATE = dir .. "/a/b" } })
    change(gw, "weight", "app", address(o[1]), "7")
    local page = cjson.decode(change(gw, "list", "--json"))
    assert.matches("^" .. (dir .. "/a/b/"):gsub("%-", "%%-") .. "%x+%.upstreams$", page.state_file)
    assert.same({ { upstream = "app", server = address(o[1]), added = false, weight = 7 } }, page.changes)
    assert.matches("weight=7", tmp.read(page.state_file), 1, true)
  end))

  it("refuses what makes no sense, precisely", run(function()
    local o = origins(1)
    local gw = gateway.start(config(o, { workers = 1 }))
    local a = address(o[1])
    local cases = {
      { { "drain", "ap", a }, 'no upstream is named "ap"; there are: app' },
      { { "list", "ap" }, 'no upstream is named "ap"; there are: app' },
      { { "drain", "app", "127.0.0.1:9" }, "app has no server 127.0.0.1:9; there are: " .. a },
      { { "add", "app", a }, "app has the server " .. a .. " already" },
      { { "add", "app", "127.0.0.1" }, "127.0.0.1 is no address of a server: it is HOST:PORT or unix:/PATH" },
      { { "add", "app", "b@d:80" }, "b@d:80 is no address of a server" },
      { { "add", "app", "127.0.0.1:99999" }, "127.0.0.1:99999 is no address of a server" },
      { { "add", "app", "127.0.0.1:9", "weight=0" }, 'weight="0": it is a whole number from 1 to 65535' },
      { { "add", "app", "127.0.0.1:9", "wieght=1" }, 'unknown word "wieght=1"; known: weight=N' },
      { { "weight", "app", a, "many" }, '"many" is no weight: it is a whole number from 1 to 65535' },
      { { "weight", "app", a, "65536" }, '"65536" is no weight' },
      { { "remove", "app", a }, a .. " is in the configuration and cannot be removed here: drain it, or put it down" },
      { { "remove", "app", "127.0.0.1:9" }, "app has no server 127.0.0.1:9" },
    }
    for _, case in ipairs(cases) do
      assert.is_truthy(refused(gw, unpack(case[1])):find(case[2], 1, true), case[2])
    end
    for _, words in ipairs { {}, { "drian", "app", a }, { "drain", "app" }, { "up", "app", a, "now" } } do
      assert.equal(2, ctl.run(gw, "upstream", unpack(words)).status)
    end
    assert.is_nil(tmp.read(cjson.decode(change(gw, "list", "--json")).state_file))
  end))

  it("has room for 64 added servers in an upstream", run(function()
    local o = origins(1)
    local dir, lines = tmp.dir(), { "# moongate upstreams 1" }
    for i = 1, 64 do
      lines[i + 1] = ("app 127.0.0.2:%d added down"):format(1000 + i)
    end
    tmp.write(dir, "state", table.concat(lines, "\n") .. "\nend 64\n")
    local gw = gateway.start(config(o, { workers = 1, state = dir .. "/state" }))
    assert.matches("app is full: 64 servers were added to it; remove one first", refused(gw, "add", "app", "127.0.0.2:2000"), 1, true)
    change(gw, "remove", "app", "127.0.0.2:1001")
    change(gw, "add", "app", "127.0.0.2:2000", "down")
    assert.equal(200, client.get(gw.port, "/").status)
  end))

  it("brings up a server that the configuration has down, until it is put down again", run(function()
    local o = origins(2)
    local second = ("%q"):format(address(o[2]))
    local gw = gateway.start((config(o, { workers = 1 }):gsub(second, "{ " .. second .. ", down = true }")))
    assert.equal("down", listed(gw)[address(o[2])].state)
    change(gw, "up", "app", address(o[2]))
    for _ = 1, 4 do
      client.get(gw.port, "/")
    end
    assert.equal(2, o[2].seen)
    change(gw, "down", "app", address(o[2]))
    client.get(gw.port, "/")
    client.get(gw.port, "/")
    assert.equal(2, o[2].seen)
  end))

  it("brings up a server that failures took out", run(function()
    local o = origins(2)
    local bad = true
    o[2]:handle(function(_, res)
      if bad then
        return res:cut()
      end
      return 200, nil, "well"
    end)
    local gw = gateway.start(config(o, { workers = 2, upstream = 'health = { passive = { fails = 1, window = "60s" } }' }))
    wait.till(function()
      client.get(gw.port, "/")
      return listed(gw)[address(o[2])].state == "ejected"
    end, "it to be ejected")
    bad = false
    change(gw, "up", "app", address(o[2]))
    assert.equal("up", listed(gw)[address(o[2])].state)
    wait.till(function()
      return client.get(gw.port, "/").body == "well"
    end, "it to be asked again")
  end))

  it("gives a server that is brought up its share step by step", run(function()
    local o = origins(2)
    local gw = gateway.start(config(o, { workers = 1, upstream = 'health = { slow_start = "60s" }' }))
    change(gw, "drain", "app", address(o[2]))
    change(gw, "up", "app", address(o[2]))
    assert.equal("recovering", listed(gw)[address(o[2])].state)
    for _ = 1, 60 do
      assert.equal(200, client.get(gw.port, "/").status)
    end
    assert.is_true(o[2].seen < 15, "it got " .. o[2].seen)
    assert.equal(60, o[1].seen + o[2].seen)
  end))

  it("does the same in nginx's dialect, with every method of balancing", run(function()
    local o = origins(3)
    local methods = {
      "", "least_conn;", "ip_hash;", "hash $request_uri;", "hash $request_uri consistent;", "random two;", "least_time header;",
    }
    local blocks, places = {}, {}
    for i, method in ipairs(methods) do
      blocks[i] = ("upstream u%d { zone z%d 64k; %s server localhost:%d; server %s; keepalive 4; }"):format(i, i, method,
        o[1].port, address(o[2]))
      places[i] = ("location /%d/ { proxy_pass http://u%d; }"):format(i, i)
    end
    local gw = gateway.start(([[
      worker_processes 2;
      daemon off;
      user root;
      error_log stderr notice;
      events {}
      http { access_log off; %s server { listen 127.0.0.1:0; %s } }
    ]]):format(table.concat(blocks, "\n"), table.concat(places, "\n")),
      { name = "nginx.conf", args = { "-c", "{conf}" }, env = { MOONGATE_STATE = tmp.dir() } })
    local function spread(i)
      clear(o)
      for k = 1, 12 do
        assert.equal(200, client.get(gw.port, ("/%d/%d"):format(i, k)).status)
      end
      return { o[1].seen, o[2].seen, o[3].seen }
    end
    for i, method in ipairs(methods) do
      local name = "u" .. i
      change(gw, "drain", name, "localhost:" .. o[1].port)
      assert.same({ 0, 12, 0 }, spread(i), method)
      change(gw, "add", name, address(o[3]))
      change(gw, "down", name, address(o[2]))
      assert.same({ 0, 0, 12 }, spread(i), method)
      assert.equal(0, ctl.reload(gw).status)
      assert.same({ 0, 0, 12 }, spread(i), method)
      change(gw, "up", name, "localhost:" .. o[1].port)
      change(gw, "remove", name, address(o[3]))
      assert.same({ 12, 0, 0 }, spread(i), method)
    end
  end))

  it("lists servers for people and for programs", run(function()
    local o = origins(2)
    local gw = gateway.start(config({ o[1] }))
    change(gw, "add", "app", address(o[2]), "backup", "drain")
    local page = change(gw, "list")
    assert.matches("UPSTREAM +SERVER +TIER +WEIGHT +STATE +IN FLIGHT +IDLE +ATTEMPTS +FAILURES\n", page)
    assert.matches("app +" .. address(o[1]) .. " +primary +1 up +0 +0 +0 +0\n", page)
    assert.matches("app +" .. address(o[2]) .. " +backup +1 drained +0 +0 +0 +0  added\n", page)
    assert.matches("1 changed, kept in /", page)
    assert.equal(page, change(gw, "list", "app"))
  end))

  it("changes a server that a name stands for, and one of its addresses", run(function()
    local dns = require("spec.support.dns")
    local d = dns.start { ["app.test"] = { "127.0.0.1", "127.0.0.2", ttl = 60 } }
    local one = origin.start(function()
      return 200, nil, "one"
    end)
    local two = origin.start(function()
      return 200, nil, "two"
    end, { host = "127.0.0.2", port = one.port })
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, resolver = "127.0.0.1:%d", admin = { state = %q } }
      upstream "app" { "app.test:%d", balance = "round_robin" }
      site "*" { proxy = "app" }
    ]]):format(d.port, tmp.dir() .. "/state", one.port))
    local first, second = address(one), "127.0.0.2:" .. two.port
    assert.equal(200, client.get(gw.port, "/").status)
    assert.equal("app.test:" .. one.port, listed(gw)[second].server)
    change(gw, "drain", "app", second)
    assert.same({ "one", "one" }, { client.get(gw.port, "/").body, client.get(gw.port, "/").body })
    assert.same({ "up", "drained" }, { listed(gw)[first].state, listed(gw)[second].state })
    change(gw, "drain", "app", "app.test:" .. one.port)
    assert.same({ "drained", "drained" }, { listed(gw)[first].state, listed(gw)[second].state })
    change(gw, "up", "app", second)
    assert.same({ "drained", "up" }, { listed(gw)[first].state, listed(gw)[second].state })
  end))
end)

--- The tools that other specs stand on, proven without a gateway: client against origin.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")
local ws = require("spec.support.ws")

describe("origin and client", function()
  it("exchange a plain request", run(function()
    local o = origin.start(function(req)
      return 200, { ["X-Path"] = req.path, { "X-Twice", "a" }, { "X-Twice", "b" } }, "hello"
    end)
    local res = client.get(o.port, "/a?b=c", { ["X-Mine"] = "1" })
    assert.equal(200, res.status)
    assert.equal("hello", res.body)
    assert.equal("/a", res.headers:get("x-path"))
    assert.same({ "a", "b" }, res.headers:all("X-Twice"))
    assert.equal("b=c", o:last().query)
    assert.equal("1", o:last().headers:get("x-mine"))
    assert.equal("GET /a?b=c HTTP/1.1\r\nHost: localhost\r\nX-Mine: 1\r\n\r\n", o:last().raw)
  end))

  it("keep a connection for several requests", run(function()
    local o = origin.start()
    local c = client.connect(o.port)
    assert.equal("ok", c:get("/1").body)
    assert.equal("ok", c:get("/2").body)
    assert.equal(1, o.connections)
    assert.equal(1, o.requests[2].conn)
  end))

  it("read chunked bodies both ways, with trailers", run(function()
    local o = origin.start(function(req, res)
      res:chunked(200)
      res:chunk(req.body)
      res:chunk("!")
      res:last({ ["X-Sum"] = "7" })
    end)
    local res = client.call(o.port, "POST", "/", {}, { "one", "two" })
    assert.equal("onetwo!", res.body)
    assert.same({ 6, 1 }, res.chunks)
    assert.equal("7", res.trailers:get("X-Sum"))
    assert.same({ 3, 3 }, o:last().chunks)
  end))

  it("see a body that was cut", run(function()
    local o = origin.start(function(_, res)
      res:head(200, { ["Content-Length"] = "10" })
      res:raw("half")
      res:cut()
    end)
    local res = client.get(o.port, "/")
    assert.equal("half", res.body)
    assert.equal("closed", res.error)
  end))

  it("see a reset", run(function()
    local o = origin.start(function(_, res)
      res:reset()
    end)
    local c = client.connect(o.port)
    c:request("GET", "/")
    local res, why = c:response({ may_fail = true })
    assert.is_nil(res)
    assert.is_truthy(why)
  end))

  it("collect interim answers", run(function()
    local o = origin.start(function(_, res)
      res:raw("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
      return res:send(200, {}, "final")
    end)
    local res = client.get(o.port, "/")
    assert.equal("final", res.body)
    assert.equal(103, res.interim[1].status)
    assert.equal("</a>", res.interim[1].headers:get("Link"))
  end))

  it("serve requests side by side, held by a gate", run(function()
    local gate = origin.gate()
    local o = origin.start(function(_, res)
      res:wait(gate)
      return 200, {}, "late"
    end)
    local first, second = client.connect(o.port), client.connect(o.port)
    first:request("GET", "/1")
    second:request("GET", "/2")
    wait.till(function()
      return #o.requests == 2
    end, "two requests")
    assert.is_true(first:is_quiet(0.02))
    gate.open()
    assert.equal("late", first:response().body)
    assert.equal("late", second:response().body)
  end))

  it("notice that the peer closed", run(function()
    local hung = false
    local o = origin.start(function(_, res)
      hung = res:hang()
    end)
    local c = client.connect(o.port)
    c:request("GET", "/")
    wait.till(function()
      return #o.requests == 1
    end)
    c:close()
    wait.till(function()
      return hung
    end, "the origin to see the end")
    local d = client.connect(o.port)
    wait.till(function()
      return o.open == 1
    end)
    o:drop()
    assert.is_true(d:is_closed(1))
  end))

  it("drip a body and leave bodies unread when lazy", run(function()
    local o = origin.start(function(req, res)
      assert.is_nil(req.body)
      req:read_body()
      res:head(200, { ["Content-Length"] = #req.body })
      res:drip(req.body, 2, 0.001)
    end, { lazy = true })
    assert.equal("abcdef", client.call(o.port, "PUT", "/", {}, "abcdef").body)
  end))

  it("speak TLS with SNI and ALPN", run(function()
    local pair = certs.make("one.test")
    local o = origin.start(nil, { tls = pair })
    local res = client.get(o.port, "/", {}, { tls = { name = "one.test", alpn = { "http/1.1" } } })
    assert.equal("ok", res.body)
  end))

  it("refuse on a dead port and stay silent in a hole", run(function()
    local none, why = client.connect(origin.dead_port(), { may_fail = true })
    assert.is_nil(none)
    assert.is_truthy(why:find("refused"))
    assert.is_nil(client.connect(origin.hole(), { may_fail = true, timeout = 0.05 }))
  end))
end)

describe("ws", function()
  it("echoes small and large frames", run(function()
    local o = origin.start(function(req, res)
      ws.accept(req, res, function(w)
        w:echo()
      end)
    end)
    local w = ws.connect(o.port, "/ws")
    for _, payload in ipairs { "hello", ("x"):rep(300), ("y"):rep(70000), "" } do
      assert(w:send(payload))
      local kind, back = w:receive()
      assert.equal("text", kind)
      assert.equal(#payload, #back)
      assert.is_true(payload == back)
    end
    w:send("", "close")
    assert.is_nil((w:receive()))
  end))

  it("gives the answer when the handshake is refused", run(function()
    local o = origin.start(function()
      return 403, {}, "no"
    end)
    local w, res = ws.connect(o.port, "/", nil, { may_fail = true })
    assert.is_nil(w)
    assert.equal(403, res.status)
  end))
end)

--- A stand-in: what gateway.lua needs of the real one is a log on stderr and the usual signals.
local function fake(script)
  local path = tmp.write(tmp.dir(), "fake", "#!/bin/sh\n" .. script)
  os.execute("chmod +x " .. path)
  return path
end

describe("gateway", function()
  local serving = [[
    trap 'exit 0' QUIT TERM
    trap 'echo reloaded >&2' HUP
    echo "level=info msg=\"listening on 127.0.0.1:4001\"" >&2
    echo "listening on [::1]:4002" >&2
    while :; do sleep 0.01; done
  ]]

  it("starts, knows the ports in order, reloads and stops", run(function()
    local gw = gateway.start('listen = { "127.0.0.1:0", "[::1]:0" }', { binary = fake(serving) })
    assert.same({ 4001, 4002 }, gw.ports)
    assert.same({ "127.0.0.1:4001", "[::1]:4002" }, gw.addresses)
    local from = gw:mark()
    gw:reload("-- new")
    gw:wait_log("reloaded", from)
    assert.equal("-- new", tmp.read(gw.dir .. "/gateway.lua"))
    assert.equal(0, gw:stop())
  end))

  it("gives the log when the start fails", run(function()
    local binary = fake("echo 'line 3: nonsense' >&2; exit 1")
    local ok, err = pcall(gateway.start, "", { binary = binary })
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("line 3: nonsense"))
  end))

  it("runs a command to its end", run(function()
    local binary = fake('cat "$2"; echo "$1" >&2; exit 3')
    local gw = gateway.exec("x = 1", { binary = binary, args = { "check", "{conf}" } })
    assert.equal(3, gw.status)
    assert.equal("x = 1", gw:stdout())
    assert.equal("check\n", gw:stderr())
  end))

  it("fails the spec on a sanitizer report, also one made at the end", function()
    local script = "trap 'echo ERROR: LeakSanitizer: x >&2; exit 99' TERM\necho listening on 127.0.0.1:1 >&2\n"
      .. "while :; do sleep 0.01; done"
    local ok, err = pcall(run(function()
      gateway.start("", { binary = fake(script) })
    end))
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("LeakSanitizer"))
  end)

  it("ends what ignores signals", function()
    local gw
    local script = "trap '' TERM QUIT\necho listening on 127.0.0.1:1 >&2\nwhile :; do sleep 0.01; done"
    run(function()
      gw = gateway.start("", { binary = fake(script), may_crash = true, end_seconds = 0.1 })
    end)()
    assert.equal("signal 9", gw.status)
  end)
end)

describe("run", function()
  local ended = {}

  it("ends what a spec started, newest first", function()
    run(function()
      run.defer(function()
        ended[#ended + 1] = "first"
      end)
      run.defer(function()
        ended[#ended + 1] = "second"
      end)
    end)()
    assert.same({ "second", "first" }, ended)
  end)

  it("keeps what a suite started until teardown", function()
    local o
    run.setup(function()
      o = origin.start()
    end)()
    run(function()
      assert.equal("ok", client.get(o.port, "/").body)
    end)()
    run.teardown()
    run(function()
      assert.is_nil(client.connect(o.port, { may_fail = true }))
    end)()
  end)

  it("passes errors on and names the place", function()
    local ok, err = pcall(run(function()
      error("boom")
    end))
    assert.is_false(ok)
    assert.is_truthy(err:find("boom"))
    assert.is_truthy(err:find("support_spec.lua"))
  end)

  it("fails a spec when an origin's handler fails", function()
    local ok, err = pcall(run(function()
      local o = origin.start(function()
        error("bad handler")
      end)
      client.connect(o.port):get("/")
    end))
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("bad handler"))
  end)

  it("bounds a spec that hangs", function()
    local limit = run.limit
    run.limit = 0.05
    local ok, err = pcall(run(function()
      require("cqueues").poll(10)
    end))
    run.limit = limit
    assert.is_false(ok)
    assert.is_truthy(err:find("not done"))
  end)
end)

describe("wait.till", function()
  it("returns the value, or says what it waited for", run(function()
    local n = 0
    assert.equal(3, wait.till(function()
      n = n + 1
      return n >= 3 and n
    end))
    local ok, err = pcall(wait.till, function() end, "rain", 0.01)
    assert.is_false(ok)
    assert.is_truthy(err:find("rain"))
  end))
end)

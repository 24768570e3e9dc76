--- Origins that fail, clients that vanish: at every step, and the others never notice.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")
local wait = require("spec.support.wait")

local function group(ports, site, options)
  local list = {}
  for i, port in ipairs(ports) do
    list[i] = ('"127.0.0.1:%d"'):format(port)
  end
  return gateway.start(([[
    gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false, level = "info" } }
    local b = upstream "b" { %s, balance = "round_robin", %s }
    site "*" { proxy = b, %s }
  ]]):format(table.concat(list, ", "), options or "", site or ""))
end

describe("an origin", function()
  it("that refuses is a 502, and the client's connection stays", run(function()
    local gw = start.proxy(origin.dead_port(), 'route "/ok" { reply = { status = 200 } }')
    local c = client.connect(gw.port)
    assert.equal(502, c:get("/").status)
    assert.equal(200, c:get("/ok").status)
  end))

  it("that refuses is passed over for any method", run(function()
    local o = origin.start()
    local gw = group({ origin.dead_port(), o.port })
    for _ = 1, 4 do
      assert.equal("ok", client.call(gw.port, "POST", "/", nil, "x").body)
    end
  end))

  it("that closes without an answer is tried elsewhere for GET, not for POST", run(function()
    local bad = origin.start(function(_, res) res:cut() end)
    local o = origin.start()
    local gw = group({ bad.port, o.port }, "", "health = { passive = false }, retry_budget = false")
    for _ = 1, 4 do
      assert.equal("ok", client.get(gw.port, "/").body)
    end
    local seen = {}
    for _ = 1, 4 do
      local res = client.call(gw.port, "POST", "/", nil, "x")
      seen[res.status] = (seen[res.status] or 0) + 1
    end
    assert.same({ [200] = 2, [502] = 2 }, seen)
  end))

  it("that answers half a head and closes is not repeated", run(function()
    local bad = origin.start(function(_, res)
      res:raw("HTTP/1.1 200 O")
      res:cut()
    end)
    local gw = group({ bad.port, bad.port + 0 })
    assert.equal(502, client.get(gw.port, "/").status)
    assert.equal(1, #bad.requests)
  end))

  it("whose status is listed is tried elsewhere", run(function()
    local bad = origin.start(function() return 503, nil, "busy" end)
    local o = origin.start()
    local gw = group({ bad.port, o.port }, 'retry = { tries = 2, on = { 503 } }', "health = { passive = false }")
    for _ = 1, 4 do
      assert.equal("ok", client.get(gw.port, "/").body)
    end
  end))

  it("whose status is listed answers when nobody else is left", run(function()
    local bad = origin.start(function() return 503, nil, "busy" end)
    local gw = start.proxy(bad.port, 'retry = { tries = 2, on = { 503 } }')
    local res = client.get(gw.port, "/")
    assert.is_true(res.status == 503 or res.status == 502)
  end))

  it("that comes back is used again", run(function()
    local port = origin.dead_port()
    local gw = start.proxy(port)
    assert.equal(502, client.get(gw.port, "/").status)
    local o = origin.start()
    gw = start.proxy(o.port)
    assert.equal(200, client.get(gw.port, "/").status)
  end))

  it("that only reads is no reason for others to wait", run(function()
    local o = origin.start(function(req, res)
      if req.path == "/hang" then
        return res:hang()
      end
      return 200, nil, "quick"
    end)
    local gw = start.proxy(o.port)
    local waiting = {}
    for i = 1, 20 do
      waiting[i] = client.connect(gw.port)
      waiting[i]:request("GET", "/hang")
    end
    for _ = 1, 20 do
      assert.equal("quick", client.get(gw.port, "/").body)
    end
  end))
end)

describe("a client that vanishes", function()
  local o, gw, gate

  before_each(run.setup(function()
    gate = origin.gate()
    o = origin.start(function(req, res)
      if req.path == "/wait" then
        res:wait(gate)
      elseif req.path == "/hang" then
        return res:hang()
      end
      return 200, nil, "ok"
    end)
    gw = start.proxy(o.port, [[
      on = { access = function(req) if req.path == "/sleep" then mg.sleep(10) end end,
             header = function(req, res) if req.path == "/sleephead" then mg.sleep(10) end end },
    ]])
  end))
  after_each(run.teardown)

  local function still_fine()
    for _ = 1, 3 do
      assert.equal("ok", client.get(gw.port, "/").body)
    end
  end

  local steps = {
    ["before it said anything"] = "",
    ["in its request line"] = "GET /wai",
    ["in its fields"] = "GET /hang HTTP/1.1\r\nHost: a\r\nX-",
    ["in its body"] = "POST /hang HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
    ["in a chunk"] = "POST /hang HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    ["in its trailers"] = "POST /hang HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-",
    ["while the origin thinks"] = "GET /hang HTTP/1.1\r\nHost: a\r\n\r\n",
    ["while a hook waits"] = "GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n",
    ["while the header hook waits"] = "GET /sleephead HTTP/1.1\r\nHost: a\r\n\r\n",
    ["with more requests behind"] = ("GET /hang HTTP/1.1\r\nHost: a\r\n\r\n"):rep(3),
  }
  for what, bytes in pairs(steps) do
    for _, how in ipairs({ "close", "reset" }) do
      it(what .. " (" .. how .. ") leaves nothing behind", run(function()
        local c = client.connect(gw.port)
        c:send(bytes)
        c:is_quiet(0.02)
        c[how](c)
        still_fine()
        if bytes:find("^GET /hang HTTP.*\r\n\r\n$") and how == "close" and not what:find("behind") then
          wait.till(function() return o.open <= 1 end, "the origin's connection to end")
        end
      end))
    end
  end

  it("while the origin is being connected leaves nothing behind", run(function()
    local hole = start.proxy(origin.hole(), 'timeouts = { connect = "10s" }, route "/ok" { reply = { status = 200 } }')
    for _, how in ipairs({ "close", "reset" }) do
      local c = client.connect(hole.port)
      c:request("GET", "/")
      c:is_quiet(0.02)
      c[how](c)
    end
    assert.equal(200, client.get(hole.port, "/ok").status)
  end))

  it("while TLS to the origin is being negotiated leaves nothing behind", run(function()
    local tls = start.proxy(('"https://127.0.0.1:%d"'):format(o.port))
    local c = client.connect(tls.port)
    c:request("GET", "/")
    wait.till(function() return o.open == 1 end)
    c:close()
    wait.till(function() return o.open == 0 end)
    assert.is_false(tls:has_ended())
  end))

  it("right behind its bytes, with a reset, holds up no stop", run(function()
    local list = {}
    for i = 1, 60 do
      list[i] = client.connect(gw.port)
    end
    for _, c in ipairs(list) do
      c:send("POST /bad% HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" .. ("x"):rep(20000))
      c:reset()
    end
    local from = wait.now()
    gw:stop("QUIT")
    assert.is_true(wait.now() - from < run.scaled(2))
  end))

  it("is logged as such", run(function()
    local logged = start.proxy(o.port, 'log = { access = "-" }')
    local c = client.connect(logged.port)
    c:request("GET", "/hang")
    wait.till(function() return o:last() end)
    c:close()
    wait.till(function() return logged:stdout():find('"status":499', 1, true) end)
  end))

  it("while the answer is under way is not the origin's failure", run(function()
    for _ = 1, 6 do
      local c = client.connect(gw.port)
      c:request("GET", "/wait")
      wait.till(function() return o:last() and o:last().path == "/wait" end)
      c:reset()
      o:clear()
    end
    gate.open()
    still_fine()
  end))
end)

describe("a header hook that fails", function()
  it("is a 500, with the connection usable", run(function()
    local o = origin.start()
    local gw = start.proxy(o.port, [[
      headers = { set = { ["X-Site"] = "yes" } },
      on = { header = function(req, res) if req.path == "/bad" then error("no") end end },
    ]])
    local c = client.connect(gw.port)
    local res = c:get("/bad")
    assert.equal(500, res.status)
    assert.equal("yes", res.headers:get("X-Site"))
    assert.truthy(res.headers:get("Date"))
    assert.equal("ok", c:get("/").body)
  end))

  it("on an error page leaves the error page", run(function()
    local gw = start.proxy(origin.dead_port(), [[
      on = { header = function(req, res) error("no") end },
    ]])
    local res = client.get(gw.port, "/")
    assert.is_true(res.status >= 500)
    assert.truthy(res.headers:get("Date"))
  end))
end)

describe("error answers", function()
  it("have the route's header fields", run(function()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, security = "strict" }
      site "*" {
        route "/dead" { proxy = "http://127.0.0.1:%d", headers = { set = { ["X-Route"] = "dead" } } },
        route "/small" { proxy = "http://127.0.0.1:%d", body_limit = "1k" },
        route "/" { reply = { status = 404 } },
      }
    ]]):format(origin.dead_port(), origin.dead_port()))
    local function check(res, status)
      assert.equal(status, res.status)
      assert.equal("nosniff", res.headers:get("X-Content-Type-Options"))
      assert.equal("SAMEORIGIN", res.headers:get("X-Frame-Options"))
      assert.equal(1, #res.headers:all("Date"))
      return res
    end
    assert.equal("dead", check(client.get(gw.port, "/dead"), 502).headers:get("X-Route"))
    check(client.get(gw.port, "/nothing"), 404)
    check(client.call(gw.port, "POST", "/small", nil, ("x"):rep(2000)), 413)
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.1\r\nHost: a\r\nbad field\r\n\r\n")
    check(c:response(), 400)
  end))
end)

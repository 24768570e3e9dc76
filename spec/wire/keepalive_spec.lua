--- Connections that are used again, on both sides.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")
local wait = require("spec.support.wait")

describe("a client connection", function()
  it("serves many requests, the origin's too", run(function()
    local o = origin.start()
    local c = client.connect(start.proxy(o.port).port)
    for i = 1, 20 do
      assert.equal("ok", c:get("/" .. i).body)
    end
    assert.equal(1, o.connections)
    assert.equal("/20", o:last().path)
  end))

  it("answers pipelined requests in order", run(function()
    local o = origin.start(function(req) return 200, nil, req.path end)
    local c = client.connect(start.proxy(o.port).port)
    local parts = {}
    for i = 1, 50 do
      parts[i] = ("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(i)
    end
    c:send(table.concat(parts))
    for i = 1, 50 do
      assert.equal("/" .. i, c:response().body)
    end
  end))

  it("answers what was pipelined behind a body", run(function()
    local o = origin.start(function(req) return 200, nil, req.path .. (req.body or "") end)
    local c = client.connect(start.proxy(o.port).port)
    c:send("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz"
      .. "POST /b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nuv\r\n0\r\n\r\n"
      .. "GET /c HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("/axyz", c:response().body)
    assert.equal("/buv", c:response().body)
    assert.equal("/c", c:response().body)
  end))

  it("answers requests that were pipelined before the client shut its side", run(function()
    local o = origin.start(function(req) return 200, nil, req.path end)
    local c = client.connect(start.proxy(o.port).port)
    c:send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n")
    c:shutdown()
    assert.equal("/1", c:response().body)
    assert.equal("/2", c:response().body)
    assert.is_true(c:is_closed())
  end))

  it("takes pipelined requests no faster than their answers are read", run(function()
    local big = ("0123456789abcdef"):rep(12500)
    local o = origin.start(function(req) return 200, nil, req.path .. big end)
    local c = client.connect(start.proxy(o.port).port)
    local parts = {}
    for i = 1, 150 do
      parts[i] = ("GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"):format(i)
    end
    c:send(table.concat(parts))
    local last = -1
    wait.till(function()
      local still = #o.requests == last
      last = #o.requests
      return still and last > 0 and wait.never(function() return #o.requests ~= last end, 0.2)
    end)
    assert.is_true(#o.requests < 150)
    for i = 1, 150 do
      local body = c:response().body
      assert.equal("/" .. i .. "0", body:sub(1, #tostring(i) + 2))
      assert.equal(#big + 1 + #tostring(i), #body)
    end
  end))

  it("is closed when it asks and asks but never reads", run(function()
    local big = ("0123456789abcdef"):rep(12500)
    local o = origin.start(function() return 200, nil, big end)
    local gw = start.proxy(o.port, 'client = { send = "200ms" }')
    local c = client.connect(gw.port)
    c:send(("GET / HTTP/1.1\r\nHost: a\r\n\r\n"):rep(150))
    wait.till(function()
      return not c:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    end, "the connection to be closed", 8)
    assert.is_true(#o.requests < 150)
  end))

  it("ends when the client says close", run(function()
    local o = origin.start()
    local c = client.connect(start.proxy(o.port).port)
    local res = c:get("/", { Connection = "close" })
    assert.equal("close", res.headers:get("Connection"))
    assert.is_true(c:is_closed())
    c = client.connect(o.port)
    assert.equal("ok", c:get("/").body)
  end))

  it("ends after client.requests requests", run(function()
    local c = client.connect(start.proxy(origin.start().port, "client = { requests = 3 }").port)
    assert.is_nil(c:get("/").headers:get("Connection"))
    assert.is_nil(c:get("/").headers:get("Connection"))
    assert.equal("close", c:get("/").headers:get("Connection"))
    assert.is_true(c:is_closed())
  end))

  it("ends when idle for timeouts.idle", run(function()
    local c = client.connect(start.proxy(origin.start().port, 'timeouts = { idle = "150ms" }').port)
    assert.equal("ok", c:get("/").body)
    assert.is_true(c:is_closed(3))
  end))

  it("stays when the origin does not keep its own", run(function()
    local o = origin.start(function() return 200, { Connection = "close" }, "x" end)
    local c = client.connect(start.proxy(o.port).port)
    assert.equal("x", c:get("/").body)
    assert.equal("x", c:get("/").body)
    assert.equal(2, o.connections)
  end))
end)

describe("a pooled connection", function()
  it("that the origin closed while idle is not used", run(function()
    local o = origin.start()
    local c = client.connect(start.proxy(o.port).port)
    c:get("/")
    o:drop()
    wait.till(function() return o.open == 0 end)
    assert.equal("ok", c:call("POST", "/", nil, "body").body)
    assert.equal(2, o.connections)
  end))

  it("that dies upon reuse is replaced for a GET", run(function()
    local o = origin.start()
    local c = client.connect(start.proxy(o.port).port)
    c:get("/")
    local died = 0
    o:handle(function(req, res)
      if req.conn == 1 then
        died = died + 1
        return res:cut()
      end
      return 200, nil, "again"
    end)
    assert.equal("again", c:get("/").body)
    assert.equal(1, died)
    assert.equal(2, o.connections)
  end))

  it("that dies upon reuse by a reset is replaced for a GET", run(function()
    local o = origin.start()
    local c = client.connect(start.proxy(o.port).port)
    c:get("/")
    o:handle(function(req, res)
      if req.conn == 1 then
        return res:reset()
      end
      return 200, nil, "again"
    end)
    assert.equal("again", c:get("/").body)
  end))

  it("that dies upon reuse is a 502 for a POST, which is not repeated", run(function()
    local o = origin.start()
    local c = client.connect(start.proxy(o.port).port)
    c:get("/")
    local posts = 0
    o:handle(function(req, res)
      if req.method == "POST" then
        posts = posts + 1
        return res:cut()
      end
      return 200, nil, "fine"
    end)
    assert.equal(502, c:call("POST", "/", nil, "body").status)
    assert.equal(1, posts)
    assert.equal("fine", c:get("/").body)
  end))

  it("that dies upon reuse is replaced for a PUT whose body is at hand", run(function()
    local o = origin.start()
    local c = client.connect(start.proxy(o.port, "buffer_request = true").port)
    c:get("/")
    o:handle(function(req, res)
      if req.conn == 1 then
        return res:cut()
      end
      return 200, nil, req.body
    end)
    assert.equal("body", c:call("PUT", "/", nil, "body").body)
  end))

  it("that dies with a body that is gone is a 502", run(function()
    local o = origin.start()
    local c = client.connect(start.proxy(o.port).port)
    c:get("/")
    o:handle(function(req, res)
      if req.conn == 1 then
        return res:cut()
      end
      return 200, nil, "unexpected"
    end)
    assert.equal(502, c:call("PUT", "/", nil, ("x"):rep(300000)).status)
  end))

  it("is not used after the origin answered before the whole request was sent", run(function()
    local o = origin.start(function(_, res)
      res:raw("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno")
      res.req:read_body()
    end, { lazy = true })
    local gw = start.proxy(o.port)
    local c = client.connect(gw.port)
    c:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n")
    assert.equal(403, c:response().status)
    c:send(("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n" .. ("x"):rep(100)):sub(1, 100))
    o:handle(function(req) return 200, nil, req.path end)
    assert.equal("/next", c:get("/next").body)
    for _, req in ipairs(o.requests) do
      assert.is_nil(req.target:find("smuggled"))
    end
  end))

  it("is kept by upstream and requests as told", run(function()
    local o = origin.start()
    local gw = require("spec.support.gateway").start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      local few = upstream "few" { "127.0.0.1:%d", keepalive = { requests = 2 } }
      local none = upstream "none" { "127.0.0.1:%d", keepalive = false }
      site "*" { route "/few" { proxy = few }, route "/none" { proxy = none } }
    ]]):format(o.port, o.port))
    local c = client.connect(gw.port)
    for _ = 1, 4 do
      c:get("/few")
    end
    assert.equal(2, o.connections)
    c:get("/none")
    assert.equal("close", o:last().headers:get("Connection"))
    c:get("/none")
    assert.equal(4, o.connections)
  end))
end)

describe("a graceful stop", function()
  it("answers what is under way and closes", run(function()
    local gate = origin.gate()
    local o = origin.start(function(_, res)
      res:wait(gate)
      return 200, nil, "late"
    end)
    local gw = start.proxy(o.port)
    local c = client.connect(gw.port)
    local idle = client.connect(gw.port)
    c:request("GET", "/")
    wait.till(function() return #o.requests == 1 end)
    gw:signal("QUIT")
    assert.is_true(idle:is_closed(3))
    gate.open()
    local res = c:response()
    assert.equal("late", res.body)
    assert.equal("close", res.headers:get("Connection"))
    assert.equal(0, gw:wait_end())
  end))
end)

--- HTTP/2 towards an upstream: a real HTTP/2 server behind the gateway, HTTP/1 clients in front.
local certs = require("spec.support.certs")
local cjson = require("cjson")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local h2 = require("spec.support.h2")
local h2_origin = require("spec.support.h2_origin")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local wait = require("spec.support.wait")

describe("an upstream that speaks HTTP/2", function()
  local o, gw

  setup(run.setup(function()
    o = h2_origin.start()
    gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" { proxy = "h2c://127.0.0.1:%d", timeouts = { read = "15s" }, body_limit = "64m" }
    ]]):format(o.port))
  end))
  teardown(run.teardown)

  it("gets the request as pseudo-header fields, without fields of the connection", run(function()
    local res = client.call(gw.port, "GET", "/echo?q=1", {
       ["Host"] = "app.example", ["Connection"] = "x-hop", ["X-Hop"] = "1", ["X-Kept"] = "2" })
    local seen = cjson.decode(res.body).headers
    assert.equal("GET", seen[":method"])
    assert.equal("/echo?q=1", seen[":path"])
    assert.equal("http", seen[":scheme"])
    assert.equal("app.example", seen[":authority"])
    assert.equal("2", seen["x-kept"])
    assert.equal("127.0.0.1", seen["x-forwarded-for"])
    assert.is_nil(seen["x-hop"])
    assert.is_nil(seen.connection)
    assert.is_nil(seen.host)
  end))

  it("gets the end of a body that has no bytes", run(function()
    local res = client.call(gw.port, "POST", "/echo", nil, {})
    assert.equal(200, res.status)
    assert.equal("POST", cjson.decode(res.body).headers[":method"])
  end))

  it("gets bodies of known and of unknown length", run(function()
    local body = ("x"):rep(300000)
    local res = client.call(gw.port, "POST", "/echo", {}, body)
    assert.equal(300000, cjson.decode(res.body).length)
    assert.equal("300000", cjson.decode(res.body).headers["content-length"])
    local c = client.connect(gw.port)
    c:send("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    local chunked = cjson.decode(c:response().body)
    assert.equal(5, chunked.length)
    assert.is_nil(chunked.headers["content-length"])
    assert.is_nil(chunked.headers["transfer-encoding"])
  end))

  it("keeps one connection for request after request", run(function()
    local first = cjson.decode(client.get(gw.port, "/echo").body).sessions
    for _ = 1, 30 do
      assert.equal(200000, #client.get(gw.port, "/big?n=200000").body) -- more than the connection's window in all
      assert.equal(first, cjson.decode(client.get(gw.port, "/echo").body).sessions)
    end
  end))

  it("passes trailers on", run(function()
    local c = client.connect(gw.port)
    c:send("GET /trailers HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n")
    assert.is_truthy(c:rest():find("4\r\nbody\r\n0\r\nx-sum: 42\r\n\r\n", 1, true))
  end))

  it("may send far more than a window holds, and may be sent that", run(function()
    assert.equal(9000000, #client.get(gw.port, "/big?n=9000000").body)
    local body = ("0123456789abcdef"):rep(400000)
    assert.is_true(client.call(gw.port, "POST", "/mirror", {}, body).body == body)
  end))

  it("is not read further than a client that does not read allows", run(function()
    local c = client.connect(gw.port)
    c:send("GET /big?n=50000000 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.is_truthy(c:some(1000))
    assert.equal(200, client.get(gw.port, "/echo").status) -- the worker serves others meanwhile
    c:close()
    assert.equal(200, client.get(gw.port, "/echo").status)
  end))

  it("sends interim answers and answers without a body", run(function()
    local c = client.connect(gw.port)
    c:send("GET /hints HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    local text = c:rest()
    assert.is_truthy(text:find("^HTTP/1.1 103"))
    assert.is_truthy(text:find("\r\nHTTP/1.1 204"))
    local head = client.call(gw.port, "HEAD", "/big?n=10")
    assert.equal(200, head.status)
    local empty = client.get(gw.port, "/empty")
    assert.equal("7", empty.headers:get("grpc-status"))
    assert.equal("", empty.body)
  end))

  it("that resets a stream is a 502; a body it cuts looks cut", run(function()
    assert.equal(502, client.get(gw.port, "/reset").status)
    local c = client.connect(gw.port)
    c:send("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n")
    local text = c:rest()
    assert.is_truthy(text:find("half", 1, true))
    assert.is_nil(text:find("\r\n0\r\n\r\n", 1, true))
  end))

  it("that says GOAWAY finishes its stream and gets a new connection for the next", run(function()
    assert.equal("last", client.get(gw.port, "/goaway").body)
    assert.equal(200, client.get(gw.port, "/echo").status)
  end))

  it("that breaks the protocol and keeps the connection open is a 502 at once; a body it had begun looks cut", run(function()
    local idle = h2.frame(0, 0, 9, "of a stream that nobody opened")
    local begun = h2.frame(1, 4, 1, h2.block { { ":status", "200" } }) .. h2.frame(0, 0, 1, "half")
    local gate = origin.gate()
    local wrong = origin.start(function(_, res)
      res:raw(h2.frame(4, 0, 0, "") .. idle)
      res:wait(gate)
    end)
    local half = origin.start(function(_, res)
      res:raw(h2.frame(4, 0, 0, "") .. begun .. idle)
      res:wait(gate)
    end)
    local g = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" {
        timeouts = { read = "60s" }, retry = false,
        route "/idle" { proxy = "h2c://127.0.0.1:%d" }, route "/half" { proxy = "h2c://127.0.0.1:%d" },
      }
    ]]):format(wrong.port, half.port))
    assert.equal(502, client.get(g.port, "/idle").status)
    local c = client.connect(g.port)
    c:send("GET /half HTTP/1.1\r\nHost: a\r\n\r\n")
    local text = c:rest()
    assert.is_truthy(text:find("half", 1, true))
    assert.is_nil(text:find("\r\n0\r\n\r\n", 1, true))
    gate.open()
  end))

  it("is answered when it pings an idle connection, which stays in use", run(function()
    local before = cjson.decode(client.get(gw.port, "/echo").body).sessions
    assert.equal("ok", client.get(gw.port, "/ping").body)
    wait.till(function() return o.log():find("pong", 1, true) end)
    assert.equal(before, cjson.decode(client.get(gw.port, "/echo").body).sessions)
  end))

  it("cannot send a head beyond the limit", run(function()
    assert.equal(502, client.get(gw.port, "/huge-head").status)
    assert.equal(200, client.get(gw.port, "/echo").status)
  end))

  it("has no longer than a gRPC client's deadline", run(function()
    local res = client.call(gw.port, "POST", "/hang", { ["Content-Type"] = "application/grpc", ["grpc-timeout"] = "100m" }, "x")
    assert.equal(504, res.status) -- and not after the route's 5 s: the client of this spec waits less
  end))

  it("speaks HTTP/2 under TLS when it chooses so", run(function()
    local files = certs.make("h2.example")
    local secure = h2_origin.start(files)
    local g = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      local both = upstream "both" { "https://127.0.0.1:%d", http2 = true, tls = { verify = false } }
      local old = upstream "old" { "https://127.0.0.1:%d", tls = { verify = false } }
      site "*" { route "/echo" { proxy = both }, route "/old" { proxy = old } }
    ]]):format(secure.port, secure.port))
    local seen = cjson.decode(client.get(g.port, "/echo", { Host = "h2.example" }).body)
    assert.equal("https", seen.headers[":scheme"])
    assert.equal("http/1.1", client.get(g.port, "/old").body)
  end))
end)

--- Answers as the client gets them.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start_nginx = require("spec.nginx.start")
local start = require("spec.wire.start")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

describe("an answer", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    gw = start.proxy(o.port)
  end))
  teardown(run.teardown)

  it("keeps status, reason, fields and body", run(function()
    o:handle(function(_, res)
      res:raw("HTTP/1.1 299 Own Words\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nhi")
    end)
    local res = client.get(gw.port, "/")
    assert.equal(299, res.status)
    assert.equal("Own Words", res.reason)
    assert.same({ "1", "2" }, res.headers:all("X-A"))
    assert.equal("hi", res.body)
    assert.same({ "2" }, res.headers:all("Content-Length"))
  end))

  it("loses what belongs to the hop to the origin", run(function()
    o:handle(function()
      return 200, { Connection = "X-Hop", ["X-Hop"] = "1", ["Keep-Alive"] = "timeout=3", Server = "theirs",
        ["X-Accel-Buffering"] = "yes" }, "x"
    end)
    local headers = client.get(gw.port, "/").headers
    for _, name in ipairs({ "Connection", "X-Hop", "Keep-Alive", "X-Accel-Buffering" }) do
      assert.is_nil(headers:get(name), name)
    end
    assert.same({ "moongate" }, headers:all("Server"))
    assert.equal(1, #headers:all("Date"))
  end))

  it("in chunks stays in chunks, trailers included", run(function()
    o:handle(function(_, res)
      res:chunked(200, { Trailer = "X-Sum" })
      res:chunk("one")
      res:chunk("two")
      res:last({ ["X-Sum"] = "6" })
    end)
    local res = client.get(gw.port, "/")
    assert.equal("onetwo", res.body)
    assert.equal("chunked", res.headers:get("Transfer-Encoding"))
    assert.equal("6", res.trailers:get("X-Sum"))
  end))

  it("in chunks and empty is complete", run(function()
    o:handle(function(_, res)
      res:chunked(200)
      res:last()
    end)
    local res = client.get(gw.port, "/")
    assert.equal("", res.body)
    assert.is_nil(res.error)
    assert.truthy(res.chunks)
  end))

  it("in many tiny chunks arrives whole", run(function()
    o:handle(function(_, res)
      res:chunked(200)
      res:raw(("1\r\nx\r\n"):rep(20000))
      res:last()
    end)
    assert.equal(20000, #client.get(gw.port, "/").body)
  end))

  it("that ends with its connection becomes chunked", run(function()
    o:handle(function(_, res)
      res:head(200)
      res:raw("until the end")
      res:cut()
    end)
    local c = client.connect(gw.port)
    local res = c:get("/")
    assert.equal("until the end", res.body)
    assert.equal("chunked", res.headers:get("Transfer-Encoding"))
    assert.equal("until the end", c:get("/").body)
  end))

  it("without a length ends with the connection for HTTP/1.0", run(function()
    o:handle(function(_, res)
      res:chunked(200)
      res:chunk("a")
      res:chunk("b")
      res:last()
    end)
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    local res = c:response()
    assert.is_nil(res.headers:get("Transfer-Encoding"))
    assert.equal("close", res.headers:get("Connection"))
    assert.equal("ab", res.body)
  end))

  it("to a request without Host comes from an origin that was told its own", run(function()
    o:handle(function(req) return 200, nil, req.headers:get("Host") end)
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.0\r\n\r\n")
    assert.equal("127.0.0.1:" .. o.port, c:response().body)
  end))

  it("to HEAD has the length but no body", run(function()
    o:handle(function()
      return 200, { ["Content-Length"] = "12345" }
    end)
    local c = client.connect(gw.port)
    local res = c:call("HEAD", "/")
    assert.equal("12345", res.headers:get("Content-Length"))
    o:handle(function() return 200, nil, "next" end)
    assert.equal("next", c:get("/").body)
  end))

  it("to HEAD may be chunked and still has no body", run(function()
    o:handle(function(_, res)
      res:chunked(200)
    end)
    local c = client.connect(gw.port)
    assert.equal(200, c:call("HEAD", "/").status)
    o:handle(function() return 200, nil, "next" end)
    assert.equal("next", c:get("/").body)
  end))

  it("304 keeps its Content-Length and has no body", run(function()
    o:handle(function(_, res)
      res:raw("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 99\r\n\r\n")
    end)
    local c = client.connect(gw.port)
    local res = c:get("/")
    assert.equal(304, res.status)
    assert.equal("99", res.headers:get("Content-Length"))
    o:handle(function() return 200, nil, "next" end)
    assert.equal("next", c:get("/").body)
  end))

  it("204 has neither body nor framing", run(function()
    o:handle(function(_, res)
      res:raw("HTTP/1.1 204 No Content\r\n\r\n")
    end)
    local c = client.connect(gw.port)
    local res = c:get("/")
    assert.equal(204, res.status)
    assert.is_nil(res.headers:get("Content-Length"))
    assert.is_nil(res.headers:get("Transfer-Encoding"))
    o:handle(function() return 200, nil, "next" end)
    assert.equal("next", c:get("/").body)
  end))

  it("may be preceded by 103", run(function()
    o:handle(function(_, res)
      res:raw("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
      res:send(200, nil, "x")
    end)
    local res = client.get(gw.port, "/")
    assert.equal(200, res.status)
    assert.equal(103, res.interim[1].status)
    assert.equal("</a.css>", res.interim[1].headers:get("Link"))
  end))

  it("to HTTP/1.0 has no 1xx before it", run(function()
    o:handle(function(_, res)
      res:raw("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
      res:send(200, nil, "x")
    end)
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.0\r\n\r\n")
    assert.equal(0, #c:response().interim)
  end))

  it("100 that nobody asked for is swallowed", run(function()
    o:handle(function(_, res)
      res:raw("HTTP/1.1 100 Continue\r\n\r\n")
      res:send(200, nil, "x")
    end)
    local res = client.get(gw.port, "/")
    assert.equal(0, #res.interim)
    assert.equal("x", res.body)
  end))

  it("with endless 1xx is a 502", run(function()
    o:handle(function(_, res)
      res:raw(("HTTP/1.1 102 Processing\r\n\r\n"):rep(50))
      return 200, nil, "x"
    end)
    assert.equal(502, client.get(gw.port, "/").status)
  end))

  it("with bare LF line ends is understood", run(function()
    o:handle(function(_, res)
      res:raw("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi")
    end)
    assert.equal("hi", client.get(gw.port, "/").body)
  end))

  it("from an HTTP/1.0 origin is passed on as 1.1", run(function()
    o:handle(function(_, res)
      res:raw("HTTP/1.0 200 OK\r\n\r\nold")
      res:cut()
    end)
    local res = client.get(gw.port, "/")
    assert.equal("1.1", res.version)
    assert.equal("old", res.body)
  end))

  it("may be large", run(function()
    local big = ("0123456789abcdef"):rep(256 * 1024)
    o:handle(function() return 200, nil, big end)
    local res = client.get(gw.port, "/")
    assert.is_true(res.body == big)
  end))

  it("may have a large head", run(function()
    local fields = {}
    for i = 1, 10 do
      fields["X-Big-" .. i] = ("b"):rep(1200)
    end
    o:handle(function() return 200, fields, "x" end)
    local res = client.get(gw.port, "/")
    assert.equal(1200, #res.headers:get("X-Big-10"))
    assert.equal("x", res.body)
  end))
end)

describe("a very large head", function()
  it("passes in both directions when the limits say so", run(function()
    local fields = {}
    for i = 1, 40 do
      fields["X-Big-" .. i] = ("b"):rep(1200)
    end
    local o = origin.start(function(req)
      fields["X-Seen"] = #req.headers:get("X-Big-40")
      return 200, fields, "x"
    end)
    local gw = start.proxy(o.port, 'buffer = { head = "64k" }')
    local res = client.get(gw.port, "/", fields)
    assert.equal("1200", res.headers:get("X-Seen"))
    assert.equal(1200, #res.headers:get("X-Big-40"))
    assert.equal("x", res.body)
  end))
end)

describe("an origin that breaks the protocol", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    gw = start.proxy(o.port, "retry = false, headers = { set = { ['X-Site'] = 'yes' } }",
      "")
  end))
  teardown(run.teardown)

  local heads = {
    ["garbage instead of a status line"] = "SSH-2.0-OpenSSH\r\n\r\n",
    ["a status out of range"] = "HTTP/1.1 99 No\r\n\r\n",
    ["a version nobody speaks"] = "HTTP/3.0 200 OK\r\n\r\n",
    ["Content-Length and Transfer-Encoding"] =
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ["two different lengths"] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    ["a negative length"] = "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ["NUL in a field"] = "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n",
    ["an upgrade that nobody asked for"] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    ["a head that does not fit"] = "HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(40000) .. "\r\n\r\n",
    ["half a head and the end"] = "HTTP/1.1 200 OK\r\nContent-Le",
    ["nothing but the end"] = "",
  }
  for what, head in pairs(heads) do
    it("with " .. what .. " gives a 502 and the client may go on", run(function()
      o:handle(function(_, res)
        res:raw(head)
        res:cut()
      end)
      local c = client.connect(gw.port)
      local res = c:get("/")
      assert.equal(502, res.status)
      assert.equal("yes", res.headers:get("X-Site"))
      o:handle(function() return 200, nil, "fine" end)
      assert.equal("fine", c:get("/").body)
    end))
  end

  it("by cutting a body of known length leaves it short", run(function()
    o:handle(function(_, res)
      res:head(200, { ["Content-Length"] = "10" })
      res:raw("half")
      res:cut()
    end)
    local res = client.get(gw.port, "/")
    assert.equal("half", res.body)
    assert.truthy(res.error)
  end))

  it("by cutting a chunked body leaves it without its last chunk", run(function()
    o:handle(function(_, res)
      res:chunked(200)
      res:chunk("half")
      res:cut()
    end)
    local res = client.get(gw.port, "/")
    assert.equal("half", res.body)
    assert.truthy(res.error)
  end))

  it("by resetting a body that ends with the connection leaves it without its last chunk", run(function()
    o:handle(function(_, res)
      res:head(200)
      res:raw("half")
      res:reset()
    end)
    local res = client.get(gw.port, "/")
    assert.truthy(res.error)
  end))

  for what, bytes in pairs({
    ["its head"] = "HTTP/1.1 200 OK\r\nConten",
    ["a body of known length"] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" .. ("x"):rep(20000),
    ["a chunked body"] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
  }) do
    it("by a reset right behind a part of " .. what .. " is noticed at once", run(function()
      o:handle(function(_, res)
        res:raw(bytes)
        res:reset()
      end)
      for _ = 1, 10 do
        local from = wait.now()
        local res = client.get(gw.port, "/")
        assert.is_true(res.status == 502 or res.error ~= nil)
        assert.is_true(wait.now() - from < run.scaled(2))
      end
    end))
  end

  it("by cutting a body resets a client that would take the end for the end", run(function()
    local gate = origin.gate()
    o:handle(function(_, res)
      res:chunked(200)
      res:chunk("half")
      res:wait(gate)
      res:cut()
    end)
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.0\r\n\r\n")
    assert(c:head())
    assert.equal("half", c:read(4))
    gate.open()
    local rest, err = c:rest()
    assert.equal("", rest)
    assert.equal("Connection reset by peer", err)
  end))

  it("with a malformed chunk leaves the body broken", run(function()
    o:handle(function(_, res)
      res:chunked(200)
      res:chunk("good")
      res:raw("zz\r\nbad\r\n0\r\n\r\n")
    end)
    local res = client.get(gw.port, "/")
    assert.equal("good", res.body)
    assert.truthy(res.error)
  end))

  it("by sending more than its length is not used again", run(function()
    o:handle(function(_, res)
      res:raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    end)
    local c = client.connect(gw.port)
    assert.equal("hi", c:get("/").body)
    local before = o.connections
    assert.equal("hi", c:get("/").body)
    assert.equal(before + 1, o.connections)
  end))
end)

describe("answers made here", function()
  it("keep a connection alive and have lengths", run(function()
    local gw = gateway.start([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" {
        route "/ok" { reply = { status = 200, body = "fine", headers = { ["X-H"] = "1" } } },
        route "/empty" { reply = { status = 204 } },
        route "/go" { redirect = { to = "https://$host$request_uri", status = 301 } },
        route "/only" { methods = "PUT", reply = { status = 200 } },
      }
    ]])
    local c = client.connect(gw.port)
    local res = c:get("/ok")
    assert.equal("fine", res.body)
    assert.equal("1", res.headers:get("X-H"))
    assert.equal(204, c:get("/empty").status)
    res = c:get("/go?a=b")
    assert.equal(301, res.status)
    assert.equal("https://localhost/go?a=b", res.headers:get("Location"))
    res = c:get("/only")
    assert.equal(405, res.status)
    assert.equal("PUT", res.headers:get("Allow"))
    assert.equal(404, c:get("/nothing").status)
    assert.equal("", c:call("HEAD", "/ok").body)
    assert.equal("fine", c:get("/ok").body)
  end))

  it("of a request that is over reach a slow client whole", run(function()
    local path = tmp.dir() .. "/s" -- a unix socket's buffer does not grow: the last piece waits in the gateway
    start_nginx(([[
      server { listen 127.0.0.1:0; listen unix:%s;
        set $a "$request_uri 0123456789abcdefghijklmnopqrstuvwxyz";
        set $b "$a$a$a$a$a$a$a$a"; set $c "$b$b$b$b$b$b$b$b"; set $d "$c$c$c$c$c$c$c$c";
        location / { return 200 "$d$d$d$d$d$d$d$d$d$d$d"; } }
    ]]):format(path))
    local clients = {}
    for i = 1, 8 do
      clients[i] = client.connect("unix:" .. path)
      clients[i]:send(("GET /%d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"):format(i))
    end
    for i, c in ipairs(clients) do
      assert.equal(200, c:head().status)
      assert.is_true(c:rest() == ("/%d 0123456789abcdefghijklmnopqrstuvwxyz"):format(i):rep(5632))
    end
  end))
end)

--- Request heads as they reach the origin, and those that never do.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")
local wait = require("spec.support.wait")

describe("a request head", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    gw = start.proxy(o.port, [[
      client = { head = "8k", target = "2k", fields = 20 },
      headers = { set = { ["X-Site"] = "yes" } },
      security = "strict",
    ]])
  end))
  teardown(run.teardown)
  before_each(function()
    o:clear()
  end)

  --- Sends bytes, returns the answer.
  local function ask(bytes)
    local c = client.connect(gw.port)
    c:send(bytes)
    local res = c:response()
    return res, c
  end

  local function refused(status, bytes)
    local res, c = ask(bytes)
    assert.equal(status, res.status)
    assert.equal("close", res.headers:get("Connection"))
    assert.is_true(c:is_closed())
    assert.equal(0, #o.requests)
    return res
  end

  it("is rebuilt: method, target and end-to-end fields pass", run(function()
    ask("PATCH /a%20b/?x=1&y HTTP/1.1\r\nHost: Example.com:81\r\nX-One:  1 \r\nx-one: 2\r\nCookie: a=b\r\n"
      .. "Content-Length: 0\r\n\r\n")
    local raw = o:last().raw
    assert.truthy(raw:find("^PATCH /a%%20b/%?x=1&y HTTP/1.1\r\nHost: Example.com:81\r\n"))
    assert.same({ "1", "2" }, o:last().headers:all("X-One"))
    assert.equal("a=b", o:last().headers:get("Cookie"))
    assert.equal("0", o:last().headers:get("Content-Length"))
  end))

  it("loses what belongs to the hop", run(function()
    ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Mine\r\nX-Mine: 1\r\nKeep-Alive: timeout=5\r\n"
      .. "TE: trailers\r\nProxy-Connection: x\r\nUpgrade: h2c\r\nX-Kept: 1\r\n\r\n")
    local headers = o:last().headers
    for _, name in ipairs({ "Connection", "X-Mine", "Keep-Alive", "TE", "Proxy-Connection", "Upgrade" }) do
      assert.is_nil(headers:get(name), name)
    end
    assert.equal("1", headers:get("X-Kept"))
  end))

  it("cannot take fields of others away by naming them in Connection", run(function()
    ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-Forwarded-For, Host, Authorization, Content-Length\r\n"
      .. "Authorization: Basic eA==\r\n\r\n")
    local headers = o:last().headers
    assert.equal("127.0.0.1", headers:get("X-Forwarded-For"))
    assert.equal("a", headers:get("Host"))
    assert.equal("Basic eA==", headers:get("Authorization"))
  end))

  it("gets its forwarded fields from us, not from the client", run(function()
    ask("GET / HTTP/1.1\r\nHost: a.example:80\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n"
      .. "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\nForwarded: for=6.6.6.6\r\n\r\n")
    local headers = o:last().headers
    assert.same({ "127.0.0.1" }, headers:all("X-Forwarded-For"))
    assert.same({ "127.0.0.1" }, headers:all("X-Real-IP"))
    assert.same({ "http" }, headers:all("X-Forwarded-Proto"))
    assert.same({ "a.example:80" }, headers:all("X-Forwarded-Host"))
    assert.is_nil(headers:get("Forwarded"))
  end))

  it("in absolute form goes on in origin form, its authority replaces Host", run(function()
    ask("GET http://real.example:8080/p?q=1 HTTP/1.1\r\nHost: fake.example\r\n\r\n")
    assert.truthy(o:last().raw:find("^GET /p%?q=1 HTTP/1.1\r\nHost: real.example:8080\r\n"))
  end))

  it("may ask for the whole server with OPTIONS *", run(function()
    ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("*", o:last().target)
  end))

  it("may come byte by byte", run(function()
    local c = client.connect(gw.port)
    for byte in ("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n"):gmatch(".") do
      c:send(byte)
    end
    assert.equal(200, c:response().status)
    assert.equal("/slow", o:last().target)
  end))

  it("may follow empty lines", run(function()
    assert.equal(200, ask("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").status)
  end))

  it("of HTTP/1.0 needs no Host and is not kept alive", run(function()
    local res, c = ask("GET /old HTTP/1.0\r\n\r\n")
    assert.equal(200, res.status)
    assert.equal("close", res.headers:get("Connection"))
    assert.is_true(c:is_closed())
    assert.truthy(o:last().raw:find("^GET /old HTTP/1.1\r\nHost: "))
  end))

  it("of HTTP/1.0 that asks for keepalive gets it", run(function()
    local res, c = ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert.equal("keep-alive", res.headers:get("Connection"))
    c:send("GET / HTTP/1.0\r\n\r\n")
    assert.equal(200, c:response().status)
  end))

  it("with a method nobody knows passes", run(function()
    assert.equal(200, ask("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n").status)
    assert.equal("BREW", o:last().method)
  end))

  describe("is refused with", function()
    local bad = {
      ["400 for garbage"] = { 400, "\1\2\3\4\r\n\r\n" },
      ["400 for a missing Host"] = { 400, "GET / HTTP/1.1\r\n\r\n" },
      ["400 for two Hosts"] = { 400, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" },
      ["400 for a malformed Host"] = { 400, "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n" },
      ["400 for Content-Length with Transfer-Encoding"] = { 400,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" },
      ["400 for two lengths"] = { 400,
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc" },
      ["400 for a length that is no number"] = { 400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc" },
      ["400 for chunked twice"] = { 400,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" },
      ["400 for a folded line"] = { 400, "GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n" },
      ["400 for a space before the colon"] = { 400, "GET / HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n" },
      ["400 for a bare LF"] = { 400, "GET / HTTP/1.1\nHost: a\n\n" },
      ["400 for NUL in a value"] = { 400, "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n" },
      ["400 for a path above the root"] = { 400, "GET /../etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n" },
      ["400 for a bad escape"] = { 400, "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n" },
      ["400 for HTTP/0.9"] = { 400, "GET /\r\n\r\n" },
      ["400 for CONNECT"] = { 400, "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n" },
      ["417 for an expectation it does not know"] = { 417, "POST / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nContent-Length: 0\r\n\r\n" },
      ["501 for a transfer coding it does not know"] = { 501,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n" },
      ["505 for HTTP/2.0 in HTTP/1 clothes"] = { 505, "GET / HTTP/2.0\r\nHost: a\r\n\r\n" },
    }
    for what, case in pairs(bad) do
      it(what, run(function()
        refused(case[1], case[2])
      end))
    end

    it("414 for a target that is too long", run(function()
      refused(414, "GET /" .. ("x"):rep(3000) .. " HTTP/1.1\r\nHost: a\r\n\r\n")
    end))

    it("431 for a head that is too large", run(function()
      refused(431, "GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("x"):rep(9000) .. "\r\n\r\n")
    end))

    it("431 for too many fields", run(function()
      refused(431, "GET / HTTP/1.1\r\nHost: a\r\n" .. ("X: 1\r\n"):rep(30) .. "\r\n")
    end))

    it("the site's header fields, whatever is wrong", run(function()
      for _, bytes in ipairs({ "GET / HTTP/2.0\r\nHost: a\r\n\r\n", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n" }) do
        local res = ask(bytes)
        assert.equal("yes", res.headers:get("X-Site"))
        assert.equal("nosniff", res.headers:get("X-Content-Type-Options"))
        assert.truthy(res.headers:get("Date"))
      end
    end))

    it("no body for HEAD", run(function()
      local c = client.connect(gw.port)
      c:send("HEAD /%zz HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal(400, c:response({ head = true }).status)
      assert.equal("", (c:rest()))
    end))
  end)

  it("is never taken from what follows a refused one", run(function()
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(400, c:response().status)
    assert.equal("", (c:rest()))
    assert.equal(0, #o.requests)
  end))
end)

describe("a host", function()
  local function two_sites(o)
    return require("spec.support.gateway").start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, security = "strict" }
      site "a.example" { proxy = "http://127.0.0.1:%d" }
      site "*.wild.example" { reply = { status = 200, body = "wild $host" } }
    ]]):format(o.port))
  end

  it("that no site has is a 404", run(function()
    local o = origin.start()
    local gw = two_sites(o)
    local res = client.get(gw.port, "/", { Host = "unknown.example" })
    assert.equal(404, res.status)
    assert.equal(0, #o.requests)
    assert.equal(200, client.get(gw.port, "/", { Host = "A.Example:8080" }).status)
  end))

  it("may match a wildcard", run(function()
    local gw = two_sites(origin.start())
    assert.equal("wild x.wild.example", client.get(gw.port, "/", { Host = "x.wild.example" }).body)
  end))

  it("of a request that is refused still chooses the header fields", run(function()
    local gw = two_sites(origin.start())
    local res = client.get(gw.port, "/../..", { Host = "a.example" })
    assert.equal(400, res.status)
    assert.equal("nosniff", res.headers:get("X-Content-Type-Options"))
  end))
end)

describe("a listener with one site", function()
  it("answers what it refuses in that site's name", run(function()
    local gw = require("spec.support.gateway").start([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "a.example" { headers = { set = { ["X-Site"] = "a" } }, reply = { status = 200 } }
    ]])
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    local res = c:response()
    assert.equal(400, res.status)
    assert.equal("a", res.headers:get("X-Site"))
  end))
end)

describe("a client that never finishes its head", function()
  it("gets a 408", run(function()
    local gw = start.proxy(origin.start().port, 'client = { header = "100ms" }')
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.1\r\nHost:")
    local res = c:response()
    assert.equal(408, res.status)
    assert.equal("close", res.headers:get("Connection"))
    assert.is_true(c:is_closed())
  end))

  it("and said nothing at all is closed without an answer", run(function()
    local gw = start.proxy(origin.start().port, 'client = { header = "100ms" }')
    local c = client.connect(gw.port)
    assert.equal("", (c:rest()))
  end))

  it("cannot stretch the time with a byte now and then", run(function()
    local gw = start.proxy(origin.start().port, 'client = { header = "200ms" }')
    local c = client.connect(gw.port)
    local from = wait.now()
    c:send("GET / HTTP/1.1\r\n")
    while wait.now() - from < 1 and c:send("X: 1\r\n") and c:is_quiet(0.05) do
      wait.now()
    end
    assert.is_true(wait.now() - from < run.scaled(0.9))
  end))
end)

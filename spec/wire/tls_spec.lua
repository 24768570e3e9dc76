--- TLS on both sides.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local wait = require("spec.support.wait")

local function common_name(c)
  return tostring(c:tls():getPeerCertificate():getSubject():all()[1].blob or c:tls():getPeerCertificate():getSubject())
end

--- Two sites with certificates of their own, and a wildcard.
local function names_gateway(port)
  return gateway.start(([[
    gateway { listen = "127.0.0.1:0 tls", workers = 1, log = { access = false, level = "info" }, security = "strict" }
    site "a.example" { tls = %q, proxy = "http://127.0.0.1:%d" }
    site "b.example" { tls = %q, reply = { status = 200, body = "b" } }
    site "*.c.example" { tls = %q, reply = { status = 200, body = "c $ssl_protocol $ssl_server_name" } }
  ]]):format(certs.make("a.example").dir, port, certs.make("b.example").dir, certs.make("*.c.example").dir))
end

describe("TLS to clients", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start(function(req) return 200, nil, req.body or "ok" end)
    gw = names_gateway(o.port)
  end))
  teardown(run.teardown)

  local function connect(name, more)
    local tls = { name = name }
    for key, value in pairs(more or {}) do
      tls[key] = value
    end
    return client.connect(gw.port, { tls = tls, may_fail = true })
  end

  it("serves requests, and says so to the origin", run(function()
    local c = connect("a.example")
    for _ = 1, 3 do
      assert.equal(200, c:get("/", { Host = "a.example" }).status)
    end
    assert.equal("https", o:last().headers:get("X-Forwarded-Proto"))
    assert.truthy(c:get("/", { Host = "a.example" }).headers:get("Strict-Transport-Security"))
  end))

  it("chooses the certificate by name", run(function()
    assert.truthy(common_name(connect("a.example")):find("a.example", 1, true))
    assert.truthy(common_name(connect("b.example")):find("b.example", 1, true))
    assert.truthy(common_name(connect("x.c.example")):find("c.example", 1, true))
  end))

  it("answers 421 for a host that is not served", run(function()
    local c = connect("a.example")
    assert.equal(421, c:get("/", { Host = "other.example" }).status)
  end))

  it("speaks 1.2 and 1.3, and knows it", run(function()
    local context = require("openssl.ssl")
    local c = connect("x.c.example")
    assert.equal("c TLSv1.3 x.c.example", c:get("/", { Host = "x.c.example" }).body)
    c = connect("x.c.example", { version = context.OP_NO_TLSv1_3 })
    assert.equal("c TLSv1.2 x.c.example", c:get("/", { Host = "x.c.example" }).body)
  end))

  it("prefers h2 and agrees on http/1.1", run(function()
    assert.equal("h2", connect("a.example", { alpn = { "http/1.1", "h2" } }):tls():getAlpnSelected())
    local c = connect("a.example", { alpn = { "http/1.1" } })
    assert.equal("http/1.1", c:tls():getAlpnSelected())
    assert.equal(200, c:get("/", { Host = "a.example" }).status)
  end))

  it("carries large bodies both ways", run(function()
    local big = ("0123456789abcdef"):rep(50000)
    local c = connect("a.example")
    local res = c:call("POST", "/", { Host = "a.example" }, big)
    assert.is_true(res.body == big)
  end))

  it("answers pipelined requests", run(function()
    local c = connect("b.example")
    c:send(("GET / HTTP/1.1\r\nHost: b.example\r\nX-Fill: " .. ("f"):rep(500) .. "\r\n\r\n"):rep(100))
    for _ = 1, 100 do
      assert.equal("b", c:response().body)
    end
  end))

  it("ends with close_notify, not with a cut", run(function()
    local c = connect("b.example")
    c:request("GET", "/", { Host = "b.example", Connection = "close" })
    assert.equal("b", c:response().body)
    local rest, err = c:rest()
    assert.equal("", rest)
    assert.is_nil(err)
  end))

  it("answers plain HTTP with a 400 that has the site's fields", run(function()
    local c = client.connect(gw.port)
    local res = c:get("/", { Host = "a.example" })
    assert.equal(400, res.status)
    assert.equal("close", res.headers:get("Connection"))
    assert.is_true(c:is_closed())
  end))

  it("drops a client that speaks neither", run(function()
    local c = client.connect(gw.port)
    c:send("\22\3\1\0\5hello, this is not TLS at all")
    c:rest()
    assert.equal(200, connect("a.example"):get("/", { Host = "a.example" }).status)
  end))

  it("survives clients that go away in the middle of the handshake", run(function()
    for _ = 1, 5 do
      local c = client.connect(gw.port)
      c:send("\22\3\1\0\200\1\0\0\196\3\3")
      c:reset()
    end
    assert.equal(200, connect("a.example"):get("/", { Host = "a.example" }).status)
  end))
end)

describe("a TLS handshake that takes too long", function()
  it("is ended", run(function()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0 tls", workers = 1, log = { access = false }, client = { header = "150ms" } }
      site "*" { tls = %q, reply = { status = 200 } }
    ]]):format(certs.make().dir))
    local c = client.connect(gw.port)
    c:send("\22\3\1")
    assert.is_true(c:is_closed(3))
  end))
end)

describe("a site with TLS on a plain address", function()
  it("redirects", run(function()
    local gw = gateway.start(([[
      gateway { listen = { "127.0.0.1:0 tls", "127.0.0.2:0" }, workers = 1, log = { access = false } }
      site "a.example" { tls = %q, reply = { status = 200, body = "secret" } }
    ]]):format(certs.make("a.example").dir))
    local res = client.get("127.0.0.2:" .. gw.ports[2], "/x?y", { Host = "a.example" })
    assert.is_true(res.status == 301 or res.status == 308)
    assert.truthy(res.headers:get("Location"):find("^https://a.example"))
  end))
end)

describe("TLS to origins", function()
  local cert = certs.make("origin.example")

  local function start(o, tls, host)
    return gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false, level = "info" } }
      local b = upstream "b" { "127.0.0.1:%d", tls = %s }
      site "*" { proxy = b, host = %q, retry = false }
    ]]):format(o.port, tls, host or "$host"))
  end

  it("verifies by name", run(function()
    local o = origin.start(nil, { tls = cert })
    local gw = start(o, ('{ ca = %q, name = "origin.example" }'):format(cert.cert))
    local c = client.connect(gw.port)
    assert.equal("ok", c:get("/").body)
    assert.equal("ok", c:get("/").body)
    assert.equal(1, o.connections)
  end))

  it("refuses a certificate for another name with a 502 and says why", run(function()
    local o = origin.start(nil, { tls = cert })
    local gw = start(o, ('{ ca = %q, name = "other.example" }'):format(cert.cert))
    local c = client.connect(gw.port)
    assert.equal(502, c:get("/").status)
    assert.equal(502, c:get("/").status)
    assert.equal(0, #o.requests)
    gw:wait_log("TLS_VERIFY")
  end))

  it("refuses an authority it does not know", run(function()
    local o = origin.start(nil, { tls = cert })
    assert.equal(502, client.get(start(o, '{ name = "origin.example" }').port, "/").status)
  end))

  it("takes anything when told not to verify", run(function()
    local o = origin.start(nil, { tls = cert })
    assert.equal("ok", client.get(start(o, "{ verify = false }").port, "/").body)
  end))

  it("uses the host of the request as name, and no connection made for another", run(function()
    local both = certs.make("a.example", "b.example")
    local o = origin.start(nil, { tls = both })
    local gw = start(o, ("{ ca = %q }"):format(both.cert))
    local c = client.connect(gw.port)
    assert.equal(200, c:get("/", { Host = "a.example" }).status)
    assert.equal(200, c:get("/", { Host = "b.example" }).status)
    assert.equal(2, o.connections)
    assert.equal(502, c:get("/", { Host = "c.example" }).status)
    assert.equal(502, c:get("/", { Host = "c.example" }).status)
    assert.equal(200, c:get("/", { Host = "a.example" }).status)
  end))

  it("to an origin that never shakes hands is a 504", run(function()
    local o = origin.start(function(_, res) res:hang() end)
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" { proxy = "https://127.0.0.1:%d", retry = false, timeouts = { connect = "200ms" } }
    ]]):format(o.port))
    assert.equal(504, client.get(gw.port, "/").status)
  end))

  it("carries large bodies both ways", run(function()
    local big = ("0123456789abcdef"):rep(50000)
    local o = origin.start(function(req) return 200, nil, req.body end, { tls = cert })
    local gw = start(o, "{ verify = false }")
    assert.is_true(client.call(gw.port, "POST", "/", nil, big).body == big)
  end))

  it("notices a body cut without close_notify", run(function()
    local o = origin.start(function(_, res)
      res:head(200)
      res:raw("half")
      res:reset()
    end, { tls = cert })
    local res = client.get(start(o, "{ verify = false }").port, "/")
    assert.truthy(res.error)
  end))
end)

describe("session tickets", function()
  it("resume on another worker", run(function()
    local cert = certs.make()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0 tls", workers = 2, log = { access = false } }
      site "*" { tls = %q, reply = { status = 200, body = "ok" } }
    ]]):format(cert.dir))
    local script = ("echo Q | openssl s_client -connect 127.0.0.1:%d -tls1_2 %%s %s/session 2>/dev/null")
      :format(gw.port, gw.dir)
    local function ask(how)
      local pipe = io.popen(script:format(how))
      local text = pipe:read("*a")
      pipe:close()
      return text
    end
    assert.truthy(ask("-sess_out"):find("New, TLSv1.2"))
    for _ = 1, 6 do
      assert.truthy(ask("-sess_in"):find("Reused, TLSv1.2"))
    end
    assert.is_true(wait.never(function() return gw:has_ended() end, 0.01))
  end))
end)

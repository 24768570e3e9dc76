--- The PROXY header in front of a connection.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")

describe("a listener with proxy_protocol", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0 proxy_protocol", workers = 1, log = { access = false }, client = { header = "300ms" } }
      site "*" { proxy = "http://127.0.0.1:%d" }
    ]]):format(o.port))
  end))
  teardown(run.teardown)

  local request = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

  local function address_after(header)
    local c = client.connect(gw.port)
    c:send(header .. request)
    assert.equal(200, c:response().status)
    return o:last().headers:get("X-Real-IP"), c
  end

  it("takes the client's address from version 1", run(function()
    assert.equal("192.0.2.7", (address_after("PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n")))
    assert.equal("2001:db8::7", (address_after("PROXY TCP6 2001:db8::7 2001:db8::1 5555 80\r\n")))
  end))

  it("takes it from version 2", run(function()
    local head = "\r\n\r\n\0\r\nQUIT\n\33\17\0\12" .. "\192\0\2\9" .. "\192\0\2\1" .. "\21\179" .. "\0\80"
    assert.equal("192.0.2.9", (address_after(head)))
  end))

  it("keeps the peer's for UNKNOWN and LOCAL", run(function()
    assert.equal("127.0.0.1", (address_after("PROXY UNKNOWN\r\n")))
    assert.equal("127.0.0.1", (address_after("\r\n\r\n\0\r\nQUIT\n\32\0\0\0")))
  end))

  it("knows it for all requests of the connection", run(function()
    local _, c = address_after("PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n")
    c:get("/")
    assert.equal("192.0.2.7", o:last().headers:get("X-Real-IP"))
  end))

  it("may get the header byte by byte", run(function()
    local c = client.connect(gw.port)
    for byte in ("PROXY TCP4 192.0.2.8 192.0.2.1 5555 80\r\n"):gmatch(".") do
      c:send(byte)
    end
    c:send(request)
    c:response()
    assert.equal("192.0.2.8", o:last().headers:get("X-Real-IP"))
  end))

  it("closes on a request without the header", run(function()
    o:clear()
    local c = client.connect(gw.port)
    c:send(request)
    c:rest()
    assert.equal(0, #o.requests)
  end))

  it("closes on a header that does not end", run(function()
    local c = client.connect(gw.port)
    c:send("PROXY TCP4 1.2.3.4")
    assert.is_true(c:is_closed(3))
  end))
end)

describe("a TLS listener with proxy_protocol", function()
  it("reads the header before the handshake", run(function()
    local o = origin.start()
    local cert = certs.make()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0 tls proxy_protocol", workers = 1, log = { access = false } }
      site "*" { tls = %q, proxy = "http://127.0.0.1:%d" }
    ]]):format(cert.dir, o.port))
    local c = client.connect(gw.port)
    c:send("PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n")
    local context = require("openssl.ssl.context").new("TLS", false)
    context:setVerify(require("openssl.ssl.context").VERIFY_NONE)
    assert(c.sock:starttls(require("openssl.ssl").new(context), 5))
    assert.equal(200, c:get("/").status)
    assert.equal("192.0.2.7", o:last().headers:get("X-Real-IP"))
  end))
end)

--- Whose word counts: forwarded fields and PROXY headers from those that are trusted, and from nobody else.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")

local forged = "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
  .. "X-Forwarded-Port: 666\r\nForwarded: for=6.6.6.6;host=evil\r\nProxy_Protocol: 6.6.6.6\r\n"

local function start(o, listen, trust)
  return gateway.start(([[
    gateway { listen = "%s", workers = 1, log = { access = false } }
    site "*" { proxy = "http://127.0.0.1:%d", %s }
  ]]):format(listen, o.port, trust))
end

local function ask(o, gw, before)
  local c = client.connect(gw.port)
  c:send((before or "") .. "GET / HTTP/1.1\r\nHost: real\r\n" .. forged .. "\r\n")
  assert.equal(200, c:response().status)
  return o:last()
end

describe("forwarded fields", function()
  local o

  setup(run.setup(function()
    o = origin.start()
  end))
  teardown(run.teardown)

  it("of a client outside the trusted networks are dropped, all of them", run(function()
    for _, trust in ipairs({ "", 'trust = { "127.0.0.2", header = "X-Forwarded-For" }' }) do
      local req = ask(o, start(o, "127.0.0.1:0", trust))
      local raw = req.raw:gsub("[Pp]roxy_[Pp]rotocol[^\r]*\r\n", "")
      assert.is_nil(raw:find("6.6.6.6", 1, true), raw)
      assert.is_nil(raw:find("evil", 1, true), raw)
      assert.is_nil(raw:find("666", 1, true), raw)
      assert.equal("127.0.0.1", req.headers:get("X-Real-IP"))
      assert.equal("http", req.headers:get("X-Forwarded-Proto"))
      assert.equal("real", req.headers:get("X-Forwarded-Host"))
    end
  end))

  it("of a trusted peer are passed on and believed", run(function()
    local req = ask(o, start(o, "127.0.0.1:0", 'trust = { "127.0.0.1", header = "X-Forwarded-For" }'))
    assert.equal("6.6.6.6", req.headers:get("X-Real-IP"))
    assert.equal("6.6.6.6, 127.0.0.1", req.headers:get("X-Forwarded-For"))
    assert.equal("https", req.headers:get("X-Forwarded-Proto"))
    assert.equal("evil", req.headers:get("X-Forwarded-Host"))
  end))
end)

describe("a PROXY header", function()
  local o
  local header = "PROXY TCP4 192.0.2.7 192.0.2.1 5555 80\r\n"

  setup(run.setup(function()
    o = origin.start()
  end))
  teardown(run.teardown)

  it("is believed from a network that a site trusts", run(function()
    local gw = start(o, "127.0.0.1:0 proxy_protocol", 'trust = { "127.0.0.1", header = "proxy_protocol" }')
    assert.equal("192.0.2.7", ask(o, gw, header).headers:get("X-Real-IP"))
  end))

  it("is read, but not believed, from anybody else", run(function()
    local gw = start(o, "127.0.0.1:0 proxy_protocol", 'trust = { "127.0.0.2", header = "proxy_protocol" }')
    assert.equal("127.0.0.1", ask(o, gw, header).headers:get("X-Real-IP"))
  end))

  it("cannot be replaced by a field of that name", run(function()
    local gw = start(o, "127.0.0.1:0 proxy_protocol", 'trust = { "127.0.0.1", "192.0.2.0/24", header = "proxy_protocol" }')
    assert.equal("192.0.2.7", ask(o, gw, header).headers:get("X-Real-IP"))
  end))

  it("that is broken ends the connection", run(function()
    local gw = start(o, "127.0.0.1:0 proxy_protocol", "")
    o:clear()
    for _, bytes in ipairs({ "PROXY TCP4 1.2.3.4\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 99999 1\r\n", ("PROXY "):rep(50),
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n", "\r\n\r\n\0\r\nQUIT\n\33\17\255\255" .. ("x"):rep(70000),
      "\r\n\r\n\0\r\nQUIT\n\49\17\0\12" .. ("x"):rep(12) }) do
      local c = client.connect(gw.port)
      c:send(bytes .. "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      c:rest()
    end
    assert.equal(0, #o.requests)
  end))
end)

local flow = require("spec.unit.core.flow.support")
local C, ffi, unit, net = flow.C, flow.ffi, flow.unit, flow.net

local EDGE, STRANGER = "127.0.0.2", "127.0.0.9"

local function text_of(a)
  local buf = ffi.new("char[64]")
  return ffi.string(buf, C.addr_print_ip(a, buf, 64))
end

--- The client's address after realip_apply, and the X-Forwarded-For that goes on.
local function apply(site, fields, peer)
  site.trust = site.trust or { EDGE .. "/32", "173.245.48.0/20", "unix:" }
  local p, err = flow.plan_of({ flow.route("/*") }, site)
  assert(p, err)
  local r = flow.req(p, "/", fields)
  r.client.peer = net.addr((peer or EDGE) .. ":5000")
  C.realip_apply(r)
  local client, sent = text_of(r.client.addr), unit.text(C.realip_forwarded_for(r))
  C.req_free(r)
  C.plan_unref(p)
  return client, sent
end

local function xff(...)
  local fields = {}
  for i, v in ipairs({ ... }) do
    fields[i] = { "X-Forwarded-For", v }
  end
  return fields
end

describe("flow/realip", function()
  it("believes a trusted peer, and nobody else", function()
    assert.equal("203.0.113.7", (apply({}, xff("203.0.113.7"))))
    assert.equal(STRANGER, (apply({}, xff("203.0.113.7"), STRANGER)))
    assert.equal(EDGE, (apply({}, {})))
    assert.equal(EDGE, (apply({ trust = {} }, xff("203.0.113.7"))))
  end)

  it("takes the last address, or skips trusted ones from the right", function()
    local list = "6.6.6.6, 203.0.113.7, 127.0.0.2, 173.245.63.255"
    assert.equal("203.0.113.7", (apply({}, xff(list))))
    assert.equal("173.245.63.255", (apply({ trust_recursive = false }, xff(list))))
    assert.equal("127.0.0.2", (apply({}, xff("127.0.0.2, 173.245.48.1"))))
  end)

  it("reads several fields as one list", function()
    assert.equal("203.0.113.8", (apply({}, xff("6.6.6.6", "203.0.113.8"))))
    assert.equal("203.0.113.7", (apply({}, xff("203.0.113.7", "127.0.0.2", "173.245.48.1"))))
  end)

  it("understands ports and IPv6", function()
    for value, address in pairs({
      ["203.0.113.7:4711"] = "203.0.113.7", ["2001:db8::1"] = "2001:db8::1", ["[2001:db8::1]"] = "2001:db8::1",
      ["[2001:db8::1]:443"] = "2001:db8::1", [" 203.0.113.7 "] = "203.0.113.7",
    }) do
      assert.equal(address, (apply({}, xff(value))), value)
    end
  end)

  it("ignores nonsense, keeping what was known before it", function()
    for _, value in ipairs({ "unknown", "999.1.1.1", "\"; drop", "", "unix:/tmp/x", ",", "[::1", ("1"):rep(100) }) do
      assert.equal(EDGE, (apply({}, xff(value))), value)
    end
    assert.equal("173.245.48.1", (apply({}, xff("203.0.113.7, junk, 173.245.48.1"))))
  end)

  it("reads other headers", function()
    assert.equal("203.0.113.7", (apply({ trust_header = "X-Real-IP" }, { { "X-Real-IP", "203.0.113.7" } })))
    assert.equal("203.0.113.7", (apply({ trust_header = "CF-Connecting-IP" }, { { "cf-connecting-ip", "203.0.113.7" } })))
    assert.equal("2001:db8::7", (apply({ trust_header = "Forwarded" }, {
      { "Forwarded", "for=6.6.6.6, for=\"[2001:db8::7]:80\";proto=https;by=1.1.1.1, proto=http; For=173.245.48.1" },
    })))
    assert.equal(EDGE, (apply({ trust_header = "Forwarded" }, { { "Forwarded", "for=_hidden" } })))
  end)

  it("sends on the chain of a trusted peer with the peer, and only its address for a stranger", function()
    assert.equal("6.6.6.6, 203.0.113.7, " .. EDGE, select(2, apply({}, xff("6.6.6.6", "203.0.113.7"))))
    assert.equal(STRANGER, select(2, apply({}, xff("6.6.6.6"), STRANGER)))
    assert.equal(EDGE, select(2, apply({}, {})))
  end)

  it("keeps a trusted peer's scheme and host", function()
    local fields = { { "X-Forwarded-Proto", "https" }, { "X-Forwarded-Host", "a.example" } }
    local p = flow.plan_of({ flow.route("/*") }, { trust = { EDGE } })
    local r = flow.req(p, "/", fields)
    r.client.peer = net.addr(EDGE .. ":1")
    assert.same({ "https", "a.example" }, { unit.text(C.realip_forwarded_proto(r)), unit.text(C.realip_forwarded_host(r)) })
    r.client.peer = net.addr(STRANGER .. ":1")
    assert.same({ "http", nil }, { unit.text(C.realip_forwarded_proto(r)), flow.text(C.realip_forwarded_host(r)) })
    C.req_free(r)
    C.plan_unref(p)
  end)
end)

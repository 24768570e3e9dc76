local net = require("spec.unit.core.net.support")
local ffi, C, unit = net.ffi, net.C, net.unit

local function parse(text, port)
  local a = ffi.new("addr")
  return C.addr_parse(unit.str(text), port or 0, a), a
end

local function print_of(a, fn)
  local buf = ffi.new("char[64]")
  return ffi.string(buf, fn(a, buf, 64))
end

local function has(cidr_text, addr_text)
  local c, a = ffi.new("cidr"), ffi.new("addr")
  assert.equal(0, C.cidr_parse(unit.str(cidr_text), c))
  assert.equal(0, C.addr_parse(unit.str(addr_text), 0, a))
  return C.cidr_has(c, a)
end

describe("net/addr", function()
  it("reads and prints addresses of every family", function()
    for text, printed in pairs({
      ["1.2.3.4:80"] = "1.2.3.4:80", ["1.2.3.4"] = "1.2.3.4:7", ["[::1]:443"] = "[::1]:443", ["::1"] = "[::1]:7",
      ["[2001:DB8::1]"] = "[2001:db8::1]:7", ["unix:/run/x.sock"] = "unix:/run/x.sock", ["0.0.0.0:0"] = "0.0.0.0:0",
    }) do
      local r, a = parse(text, 7)
      assert.equal(0, r, text)
      assert.equal(printed, print_of(a, C.addr_print))
    end
  end)

  it("refuses names, bad ports and half addresses", function()
    for _, text in ipairs({
      "", "localhost", "1.2.3", "1.2.3.4:", "1.2.3.4:70000", "1.2.3.4:8x", "[::1", "[::1]80", "[1.2.3.4]:80", "unix:",
      "1.2.3.4\0", ":80", "::1::2", "unix:" .. ("x"):rep(108),
    }) do
      assert.equal(net.E.ERR_INVALID, (parse(text)), text)
    end
  end)

  it("prints the address alone", function()
    local _, a = parse("1.2.3.4:80")
    assert.equal("1.2.3.4", print_of(a, C.addr_print_ip))
    _, a = parse("[fe80::1]:80")
    assert.equal("fe80::1", print_of(a, C.addr_print_ip))
    _, a = parse("unix:/x")
    assert.equal("unix:", print_of(a, C.addr_print_ip))
  end)

  it("never writes past the buffer", function()
    local _, a = parse("[2001:db8::1]:8080")
    local buf = ffi.new("char[8]", "zzzzzzz")
    assert.equal(3, tonumber(C.addr_print(a, buf, 4)))
    assert.equal("zzz", ffi.string(buf + 4, 3))
  end)

  it("compares with the port", function()
    local _, a = parse("1.2.3.4:80")
    local _, b = parse("1.2.3.4:80")
    local _, c = parse("1.2.3.4:81")
    assert.is_true(C.addr_eq(a, b))
    assert.is_false(C.addr_eq(a, c))
    C.addr_set_port(c, 80)
    assert.is_true(C.addr_eq(a, c))
    assert.equal(80, C.addr_port(c))
  end)

  it("matches networks of both families at any prefix length", function()
    assert.is_true(has("10.0.0.0/8", "10.255.1.1"))
    assert.is_false(has("10.0.0.0/8", "11.0.0.1"))
    assert.is_true(has("192.168.1.128/25", "192.168.1.200"))
    assert.is_false(has("192.168.1.128/25", "192.168.1.127"))
    assert.is_true(has("0.0.0.0/0", "8.8.8.8"))
    assert.is_true(has("1.2.3.4", "1.2.3.4"))
    assert.is_true(has("2001:db8::/33", "2001:db8:7fff::1"))
    assert.is_false(has("2001:db8::/33", "2001:db8:8000::1"))
    assert.is_false(has("::/0", "1.2.3.4"))
  end)

  it("sees IPv4 inside v4-mapped addresses, and unix sockets by their own word", function()
    assert.is_true(has("10.0.0.0/8", "::ffff:10.1.2.3"))
    assert.is_false(has("10.0.0.0/8", "::10.1.2.3"))
    assert.is_true(has("unix:", "unix:/x"))
    assert.is_false(has("unix:", "1.2.3.4"))
    assert.is_false(has("0.0.0.0/0", "unix:/x"))
  end)

  it("refuses prefixes that are too long or no numbers", function()
    local c = ffi.new("cidr")
    for _, text in ipairs({ "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "host/8", "" }) do
      assert.equal(net.E.ERR_INVALID, C.cidr_parse(unit.str(text), c), text)
    end
  end)
end)

--- The small vocabularies: methods, statuses, dates, PROXY protocol.
local http = require("spec.unit.core.http.support")
local unit = require("spec.support.unit")
local C, ffi = unit.use("http/status.h", "http/date.h", "http/proxyproto.h", "base/clock.h"), http.ffi

describe("method", function()
  it("finds methods by exact name", function()
    for m = 1, tonumber(C.METHOD_COUNT) - 1 do
      assert.are.equal(m, tonumber(C.method_find(C.method_name(m))))
    end
    assert.are.equal(0, tonumber(C.method_find(http.str("get"))))
    assert.are.equal(0, tonumber(C.method_find(http.str("PROPFIND"))))
    assert.are.equal(0, tonumber(C.method_find(http.str(""))))
  end)

  it("knows which may be repeated", function()
    assert.is_true(C.method_is_idempotent(C.METHOD_PUT))
    assert.is_false(C.method_is_safe(C.METHOD_PUT))
    assert.is_true(C.method_is_safe(C.METHOD_HEAD))
    assert.is_false(C.method_is_idempotent(C.METHOD_POST))
    assert.is_false(C.method_is_idempotent(C.METHOD_PATCH))
    assert.is_false(C.method_is_idempotent(C.METHOD_OTHER))
  end)
end)

describe("status", function()
  it("has the registered reasons", function()
    local want = { [100] = "Continue", [101] = "Switching Protocols", [200] = "OK", [226] = "IM Used",
      [308] = "Permanent Redirect", [413] = "Content Too Large", [421] = "Misdirected Request",
      [431] = "Request Header Fields Too Large", [451] = "Unavailable For Legal Reasons",
      [502] = "Bad Gateway", [511] = "Network Authentication Required",
      [0] = "", [99] = "", [199] = "", [306] = "", [420] = "", [600] = "", [-1] = "" }
    for status, reason in pairs(want) do
      assert.are.equal(reason, http.text(C.status_reason(status)))
    end
  end)

  it("knows which have no body", function()
    for status, none in pairs({ [100] = true, [199] = true, [200] = false, [204] = true, [205] = false, [304] = true }) do
      assert.are.equal(none, C.status_has_no_body(status))
    end
  end)
end)

describe("date", function()
  local out = ffi.new("int64_t[1]")
  local function parse(text)
    return C.date_parse(http.str(text), out) == 0 and tonumber(out[0]) or nil
  end
  local function format(t)
    local buf = ffi.new("char[32]")
    C.date_format(t, buf)
    return ffi.string(buf, 29)
  end

  it("formats what libc formats", function()
    for _, t in ipairs({ 0, 784111777, 951782399, 951782400, 4102444799, 1709208000, -1, 253402300799 }) do
      assert.are.equal(os.date("!%a, %d %b %Y %H:%M:%S GMT", t), format(t))
    end
  end)

  it("parses the three forms", function()
    assert.are.equal(784111777, parse("Sun, 06 Nov 1994 08:49:37 GMT"))
    assert.are.equal(784111777, parse("Sunday, 06-Nov-94 08:49:37 GMT"))
    assert.are.equal(784111777, parse("Sun Nov  6 08:49:37 1994"))
    assert.are.equal(784975777, parse("Wed Nov 16 08:49:37 1994"))
  end)

  it("undoes its own format", function()
    for t = 0, 4e9, 39916801 do
      assert.are.equal(t, parse(format(t)))
    end
  end)

  it("refuses what is no date", function()
    for _, bad in ipairs({ "", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 CET", "Xxx, 06 Nov 1994 08:49:37 GMT",
      "Sun, 32 Jan 1994 08:49:37 GMT", "Sun, 30 Feb 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT ", "0", "-1" }) do
      assert.is_nil(parse(bad), bad)
    end
  end)

  it("says what time it is", function()
    C.clock_freeze(1000, 784111777999)
    assert.are.equal("Sun, 06 Nov 1994 08:49:37 GMT", http.text(C.date_now()))
    C.clock_freeze(2000, 784111778000)
    assert.are.equal("Sun, 06 Nov 1994 08:49:38 GMT", http.text(C.date_now()))
  end)
end)

describe("proxyproto", function()
  local pp = ffi.new("proxyproto")
  local function parse(text)
    local buf = http.exact(text)
    local rc = C.proxyproto_parse(ffi.new("str", { ffi.cast("const char *", buf), #text }), pp)
    return rc > 0 and rc or http.err(rc)
  end
  local function bytes(p, n)
    local out = {}
    for i = 0, n - 1 do
      out[#out + 1] = p[i]
    end
    return table.concat(out, ".")
  end
  local signature = "\r\n\r\n\0\r\nQUIT\n"
  local v2 = signature .. "\33\17\0\15" .. "\1\2\3\4\5\6\7\8\0\80\1\187" .. "\4\0\0"

  it("reads version 1", function()
    assert.are.equal(40, parse("PROXY TCP4 1.2.3.4 127.0.0.1 56324 443\r\nGET"))
    assert.are.equal(4, pp.family)
    assert.are.equal("1.2.3.4", bytes(pp.src, 4))
    assert.are.equal(56324, pp.src_port)
    assert.are.equal(443, pp.dst_port)
    assert.is_number(parse("PROXY TCP6 ::1 fe80::1 1 2\r\n"))
    assert.are.equal(6, pp.family)
    assert.is_number(parse("PROXY UNKNOWN\r\n"))
    assert.are.equal(0, pp.family)
    assert.is_number(parse("PROXY UNKNOWN whatever it says\r\n"))
  end)

  it("reads version 2 with what follows the addresses", function()
    assert.are.equal(31, parse(v2 .. "GET"))
    assert.are.equal(4, pp.family)
    assert.are.equal("1.2.3.4", bytes(pp.src, 4))
    assert.are.equal("5.6.7.8", bytes(pp.dst, 4))
    assert.are.equal(80, pp.src_port)
    assert.are.equal(443, pp.dst_port)
    assert.are.equal("\4\0\0", http.text(pp.tlvs))
  end)

  it("takes LOCAL without addresses", function()
    assert.are.equal(16, parse(signature .. "\32\0\0\0"))
    assert.are.equal(0, pp.family)
  end)

  it("waits for every prefix", function()
    for _, whole in ipairs({ v2, "PROXY TCP4 1.2.3.4 127.0.0.1 56324 443\r\n" }) do
      for n = 0, #whole - 1 do
        assert.are.equal("error AGAIN", parse(whole:sub(1, n)))
      end
    end
  end)

  it("refuses anything else", function()
    for _, bad in ipairs({ "GET / HTTP/1.1\r\n", "PROXY TCP4 1.2.3.4 127.0.0.1 56324\r\n", "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
      "PROXY TCP4 ::1 ::1 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
      "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
      "PROXY " .. ("x"):rep(200), signature:sub(1, 11) .. "X", signature .. "\17\17\0\12" .. ("x"):rep(12),
      signature .. "\33\17\0\8" .. ("x"):rep(8), signature .. "\35\17\0\0", signature .. "\33\17\255\255" }) do
      assert.are.equal("error INVALID", parse(bad), bad)
    end
  end)

  it("writes what it reads", function()
    local buf = ffi.new("char[128]")
    for _, text in ipairs({ "PROXY TCP4 1.2.3.4 127.0.0.1 56324 443\r\n", "PROXY TCP6 ::1 fe80::1 1 2\r\n", "PROXY UNKNOWN\r\n" }) do
      parse(text)
      assert.are.equal(text, ffi.string(buf, C.proxyproto_write(pp, 1, buf, 128)))
      local n = tonumber(C.proxyproto_write(pp, 2, buf, 128))
      local family, port = pp.family, pp.src_port
      assert.are.equal(n, parse(ffi.string(buf, n)))
      assert.are.equal(family, pp.family)
      assert.are.equal(port, pp.src_port)
    end
    assert.are.equal(0, tonumber(C.proxyproto_write(pp, 1, buf, 8)))
  end)

  local function tlv(tlvs, name)
    local buf = http.exact(tlvs)
    local room, out = ffi.new("char[12]"), ffi.new("str")
    local rc = C.proxyproto_tlv_named(ffi.new("str", { ffi.cast("const char *", buf), #tlvs }), http.str(name), room, out)
    return rc == 0 and http.text(out) or http.err(rc)
  end

  it("finds TLVs by name and number, those of TLS inside of theirs", function()
    local tlvs = "\1\0\2h2\2\0\5a.net\32\0\15\1\0\0\1\2\33\0\7TLSv1.3"
    assert.equal("h2", tlv(tlvs, "alpn"))
    assert.equal("a.net", tlv(tlvs, "authority"))
    assert.equal("a.net", tlv(tlvs, "0x02"))
    assert.equal("TLSv1.3", tlv(tlvs, "ssl_version"))
    assert.equal("TLSv1.3", tlv(tlvs, "ssl_0x21"))
    assert.equal("258", tlv(tlvs, "ssl_verify"))
    assert.equal("error NOT_FOUND", tlv(tlvs, "netns"))
    assert.equal("error NOT_FOUND", tlv(tlvs, "nonsense"))
    assert.equal("error INVALID", tlv("\2\255\255", "authority"))
    assert.equal("error INVALID", tlv("\32\0\1x", "ssl_cn"))
  end)
end)

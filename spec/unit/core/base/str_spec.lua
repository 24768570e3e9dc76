local unit = require("spec.support.unit")
local base = require("spec.unit.core.base.support")
local C, ffi, str, text = unit.use("base/err.h", "base/str.h", "base/fmt.h"), base.ffi, base.str, base.text

describe("str", function()
  it("compares without case", function()
    assert.is_true(C.str_ieq(str("Host"), str("hOST")))
    assert.is_false(C.str_ieq(str("Host"), str("Hos")))
    assert.is_false(C.str_ieq(str("@"), str("`")))
    assert.is_false(C.str_ieq(str("[a"), str("{a")))
    assert.is_true(C.str_ieq(str(""), str("")))
  end)

  it("sees prefixes and suffixes", function()
    assert.is_true(C.str_has_prefix(str("abc"), str("ab")))
    assert.is_true(C.str_has_prefix(str("abc"), str("")))
    assert.is_false(C.str_has_prefix(str("a"), str("ab")))
    assert.is_true(C.str_has_suffix(str("abc"), str("bc")))
    assert.is_false(C.str_has_suffix(str("bc"), str("abc")))
    assert.is_true(C.str_has_iprefix(str("HTTPS://"), str("https")))
  end)

  it("finds bytes and strings", function()
    assert.are.equal(1, tonumber(C.str_find(str("abcb"), ("b"):byte(), 0)))
    assert.are.equal(3, tonumber(C.str_find(str("abcb"), ("b"):byte(), 2)))
    assert.are.equal(4, tonumber(C.str_find(str("abcb"), ("x"):byte(), 0)))
    assert.are.equal(4, tonumber(C.str_find(str("abcb"), ("a"):byte(), 9)))
    assert.are.equal(2, tonumber(C.str_search(str("abcb"), str("cb"))))
    assert.are.equal(4, tonumber(C.str_search(str("abcb"), str("bb"))))
    assert.are.equal(0, tonumber(C.str_search(str("abcb"), str(""))))
  end)

  it("trims blanks and tabs only", function()
    assert.are.equal("a b", text(C.str_trim(str(" \t a b\t "))))
    assert.are.equal("\n", text(C.str_trim(str(" \n "))))
    assert.are.equal("", text(C.str_trim(str("  "))))
  end)

  it("splits", function()
    local rest, part, out = ffi.new("str[1]", { str("a, b,, c ,") }), ffi.new("str"), {}
    while C.str_split(rest, (","):byte(), part) do
      out[#out + 1] = text(part)
    end
    assert.are.same({ "a", "b", "", "c" }, out)
  end)

  it("reads numbers without sign or overflow", function()
    local u, i = ffi.new("uint64_t[1]"), ffi.new("int64_t[1]")
    for s, want in pairs({ ["0"] = 0ULL, ["007"] = 7ULL, ["18446744073709551615"] = 18446744073709551615ULL,
      ["00000000000000000000000001"] = 1ULL }) do
      assert.are.equal(0, C.str_to_u64(str(s), u))
      assert.is_true(u[0] == want)
    end
    for _, bad in ipairs({ "", "-1", "+1", " 1", "1 ", "1a", "18446744073709551616", "99999999999999999999", "\0" }) do
      assert.are.equal(C.ERR_INVALID, C.str_to_u64(str(bad), u))
    end
    assert.are.equal(0, C.str_to_i64(str("9223372036854775807"), i))
    assert.are.equal(C.ERR_INVALID, C.str_to_i64(str("9223372036854775808"), i))
  end)

  it("orders", function()
    assert.is_true(C.str_cmp(str("a"), str("b")) < 0)
    assert.is_true(C.str_cmp(str("ab"), str("a")) > 0)
    assert.are.equal(0, C.str_cmp(str("a"), str("a")))
  end)
end)

describe("fmt", function()
  local function write(cap, fn)
    local buf = ffi.new("char[?]", cap)
    local f = ffi.new("fmt", { buf, buf + cap, buf, false })
    fn(f)
    return ffi.string(buf, f.p - buf), f.cut
  end

  it("writes numbers", function()
    assert.are.equal("0 18446744073709551615 -9223372036854775808 ff -0.005 12.345", (write(99, function(f)
      C.fmt_u64(f, 0)
      C.fmt_printf(f, " ")
      C.fmt_u64(f, 18446744073709551615ULL)
      C.fmt_printf(f, " ")
      C.fmt_i64(f, -9223372036854775807LL - 1)
      C.fmt_printf(f, " ")
      C.fmt_hex(f, 255)
      C.fmt_printf(f, " ")
      C.fmt_milli(f, -5)
      C.fmt_printf(f, " ")
      C.fmt_milli(f, 12345)
    end)))
  end)

  it("escapes JSON", function()
    assert.are.equal([[a\"\\\n\r\t\u0001/]] .. "\195\164\226\130\172\240\159\152\128", (write(99, function(f)
      C.fmt_json(f, str("a\"\\\n\r\t\1/\195\164\226\130\172\240\159\152\128"))
    end)))
  end)

  it("replaces what is no UTF-8", function()
    for _, bad in ipairs({ "\128", "\192\128", "\224\128\128", "\237\160\128", "\244\144\128\128", "\255", "\195" }) do
      assert.are.equal(([[\ufffd]]):rep(#bad), (write(99, function(f)
        C.fmt_json(f, str(bad))
      end)))
    end
  end)

  it("remembers that something did not fit", function()
    local out, cut = write(3, function(f)
      C.fmt_u64(f, 12)
      C.fmt_u64(f, 345)
    end)
    assert.are.equal("12", out)
    assert.is_true(cut)
    out, cut = write(4, function(f)
      C.fmt_printf(f, "%s", "abcdef")
    end)
    assert.are.equal("abc", out)
    assert.is_true(cut)
  end)
end)

describe("err", function()
  it("names every code", function()
    assert.are.equal("OK", ffi.string(C.err_name(5)))
    assert.are.equal("AGAIN", ffi.string(C.err_name(-1)))
    assert.are.equal("BAD_HOST", ffi.string(C.err_name(C.ERR_BAD_HOST)))
    assert.are.equal("UNKNOWN", ffi.string(C.err_name(-100000)))
    assert.are.equal(400, C.err_status(C.ERR_BAD_HOST))
    assert.are.equal(501, C.err_status(C.ERR_BAD_CODING))
    assert.are.equal(500, C.err_status(C.ERR_AGAIN))
  end)

  it("comes from errno", function()
    assert.are.equal(C.ERR_REFUSED, C.err_from_errno(111))
    assert.are.equal(C.ERR_AGAIN, C.err_from_errno(11))
    assert.are.equal(C.ERR_IO, C.err_from_errno(5))
  end)
end)

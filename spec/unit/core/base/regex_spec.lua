local unit = require("spec.support.unit")
local base = require("spec.unit.core.base.support")
local C, ffi, str, text = unit.use("base/err.h", "base/regex.h"), base.ffi, base.str, base.text

local function compile(pattern, flags)
  local errbuf, at = ffi.new("char[128]"), ffi.new("size_t[1]")
  local re = C.regex_new(str(pattern), flags or 0, errbuf, 128, at)
  if re == nil then
    return nil, ffi.string(errbuf), tonumber(at[0])
  end
  return ffi.gc(re, C.regex_free)
end

--- The captures as a list; false where unset; nil when nothing matches.
local function match(re, subject, from)
  local m = ffi.new("regex_match")
  local rc = C.regex_exec(re, str(subject), from or 0, m)
  if rc == 0 then
    return nil
  elseif rc < 0 then
    return rc
  end
  local out = {}
  for i = 0, m.n - 1 do
    out[i + 1] = m.at[2 * i] >= 0 and subject:sub(m.at[2 * i] + 1, m.at[2 * i + 1])
  end
  return out
end

describe("regex", function()
  it("matches with captures", function()
    local re = compile("(a+)(b)?(c)")
    assert.are.same({ "aac", "aa", false, "c" }, match(re, "xaacx"))
    assert.is_nil(match(re, "ab"))
    assert.are.equal(3, C.regex_capture_count(re))
    assert.are.equal(1, C.regex_exec(re, str("ac"), 0, nil))
    assert.are.same({ "ac", "a", false, "c" }, match(re, "acac", 1))
    assert.are.equal(C.ERR_INVALID, match(re, "a", 2))
  end)

  it("reports the place of an error", function()
    local re, err, at = compile("a(b")
    assert.is_nil(re)
    assert.is_truthy(err:find("parenthes"))
    assert.are.equal(3, at)
  end)

  it("obeys its flags", function()
    assert.is_truthy(match(compile("ABC", C.REGEX_CASELESS), "xabc"))
    assert.is_nil(match(compile("b", C.REGEX_ANCHORED), "ab"))
    assert.is_truthy(match(compile("a.b", C.REGEX_DOTALL), "a\nb"))
    assert.is_truthy(match(compile("^b", C.REGEX_MULTILINE), "a\nb"))
    assert.is_truthy(match(compile("a b # c", C.REGEX_EXTENDED), "ab"))
    assert.are.same({ "\195\164" }, match(compile("^.$", C.REGEX_UTF), "\195\164"))
    assert.is_nil(match(compile("^.$"), "\195\164"))
    assert.is_nil(match(compile("a$", C.REGEX_DOLLAR_ENDONLY), "a\n"))
  end)

  it("does not fail on invalid UTF-8", function()
    assert.are.same({ "b" }, match(compile("b", C.REGEX_UTF), "\255b"))
  end)

  it("names its groups", function()
    local re = compile("(?<year>\\d+)-(?<month>\\d+)")
    assert.are.equal(1, C.regex_name(re, str("year")))
    assert.are.equal(2, C.regex_name(re, str("month")))
    assert.are.equal(-1, C.regex_name(re, str("day")))
  end)

  it("gives up instead of running on", function()
    local before = os.clock()
    assert.are.equal(C.ERR_LIMIT, match(compile("^(a+)+$"), ("a"):rep(40) .. "b"))
    assert.is_true(os.clock() - before < 1)
  end)

  it("knows the literal start of an anchored pattern", function()
    local cases = {
      ["^/api/v1/"] = "/api/v1/", ["^/a\\.b"] = "/a.b", ["^/a.b"] = "/a", ["^/ab?"] = "/a", ["^/ab*c"] = "/a",
      ["^/ab+c"] = "/ab", ["^/ab{0,2}"] = "/a", ["^/a(b|c)"] = "/a", ["^/a|/b"] = "", ["^/a|^/b"] = "",
      ["/a"] = "", ["^"] = "", ["^$"] = "", ["^[a]"] = "", ["^/\\d+"] = "/", ["^/a[|]b"] = "/a",
      ["^/a[]|]b"] = "/a", ["^/a[[:alpha:]|]"] = "/a", ["^/a\\|b"] = "/a|b", ["(?i)^/a"] = "", ["^/a(?i)b"] = "/a",
      ["^/a\\Qb|c\\E"] = "", ["^(?x)/a"] = "", ["^/a(?#|)b"] = "", ["^/-_~%"] = "/-_~%", ["^/\195\164?"] = "/",
      ["^/a(?:b|c)|d"] = "",
    }
    for pattern, want in pairs(cases) do
      assert.are.equal(want, text(C.regex_literal_prefix(compile(pattern))), pattern)
    end
    assert.are.equal("", text(C.regex_literal_prefix(compile("^/a", C.REGEX_CASELESS))))
    assert.are.equal("", text(C.regex_literal_prefix(compile("^/a", C.REGEX_MULTILINE))))
  end)
end)

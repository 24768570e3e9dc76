--- Range against a size, preconditions, Accept-Encoding: the pure halves.
local unit = require("spec.support.unit")
local ffi = unit.ffi
local C = unit.use("http/range.h", "http/conditional.h", "http/coding.h", "base/pool.h")

local function parse(value, size, max, lean)
  local s = unit.str(value)
  local room = C.range_count(s)
  local v = ffi.new("range[?]", room)
  local n = C.range_parse(s, size or 1000, math.min(max or 1024, room), lean or false, v)
  local out = {}
  for i = 0, n - 1 do
    out[#out + 1] = ("%d-%d"):format(tonumber(v[i].from), tonumber(v[i]["end"]))
  end
  return n > 0 and table.concat(out, " ") or n == 0 and "whole" or "none"
end

describe("range_parse", function()
  it("takes first and last, first alone, and suffixes", function()
    assert.equal("0-10", parse("bytes=0-9"))
    assert.equal("990-1000", parse("bytes=990-"))
    assert.equal("990-1000", parse("bytes=-10"))
    assert.equal("0-1000", parse("bytes=-1001"))
    assert.equal("999-1000", parse("bytes=999-5000"))
    assert.equal("1-3 5-6", parse("Bytes= 1 - 2 ,\t5-5 "))
  end)

  it("leaves out ranges that select nothing, and refuses when none is left", function()
    assert.equal("0-1", parse("bytes=0-0, 1000-, 5-2"))
    assert.equal("none", parse("bytes=1000-"))
    assert.equal("none", parse("bytes=-0"))
  end)

  it("refuses what is malformed", function()
    for _, bad in ipairs { "x", "1", "1-2 3", "--1", "1--2", "1-2;", ",", "0-9,", "99999999999999999999-", "1-99999999999999999999" } do
      assert.equal("none", parse("bytes=" .. bad), bad)
    end
  end)

  it("ignores other units and empty sets", function()
    assert.equal("whole", parse("lines=1-2"))
    assert.equal("whole", parse("bytes="))
    assert.equal("whole", parse("bytes=0-", 0))
  end)

  it("ignores more ranges than allowed and more bytes than there are", function()
    assert.equal("0-1 2-3", parse("bytes=0-0,2-2", 1000, 2))
    assert.equal("whole", parse("bytes=0-0,2-2,4-4", 1000, 2))
    assert.equal("whole", parse("bytes=0-999,0-0"))
    assert.equal("whole", parse("bytes=" .. ("0-0,"):rep(30) .. "1-1", 1000, 1024, true))
  end)

  it("ignores ranges whose sum leaves 64 bits", function()
    assert.equal("whole", parse("bytes=0-0,261-,-4126", 0x7fffffffffffffffLL))
    assert.equal("whole", parse("bytes=0-,1-", 0x7fffffffffffffffLL, 1024, true))
  end)

  it("keeps to its numbers at the end of 64 bits", function()
    assert.equal("9223372036854775806-9223372036854775807", (function()
      local v = ffi.new("range[1]")
      local n = C.range_parse(unit.str("bytes=-1"), 0x7fffffffffffffffLL, 1, false, v)
      assert.equal(1, n)
      return ("%s-%s"):format(tostring(v[0].from):gsub("LL", ""), tostring(v[0]["end"]):gsub("LL", ""))
    end)())
  end)
end)

describe("conditional_lists_tag", function()
  local function lists(list, tag, weak)
    return C.conditional_lists_tag(unit.str(list), unit.str(tag), weak)
  end

  it("compares strongly or weakly", function()
    assert.is_true(lists('"a", "b"', '"b"', false))
    assert.is_false(lists('W/"b"', '"b"', false))
    assert.is_false(lists('W/"b"', 'W/"b"', false))
    assert.is_true(lists('W/"b"', '"b"', true))
    assert.is_true(lists('"b"', 'W/"b"', true))
    assert.is_true(lists("*", "", true))
    assert.is_false(lists('"a"', "", true))
  end)

  it("knows that commas may stand inside a tag", function()
    assert.is_true(lists('"a,b" , "c"', '"a,b"', false))
    assert.is_false(lists('"a,b"', '"b"', false))
  end)
end)

describe("coding_choose", function()
  local pool = ffi.new("pool")

  local function choose(value, star)
    C.pool_init(pool, 1024)
    local h, w = ffi.new("headers"), ffi.new("struct coding_wishes")
    C.headers_init(h, pool)
    assert.equal(0, C.headers_add(h, unit.str("Accept-Encoding"), unit.str(value)))
    C.coding_wishes(h, w)
    local ours = ffi.new("enum coding[3]", { C.CODING_ZSTD, C.CODING_BR, C.CODING_GZIP })
    local name = ffi.string(C.coding_name(C.coding_choose(w, ours, 3, star or false)).p)
    C.pool_fini(pool)
    return name
  end

  it("takes the highest weight, then our order", function()
    assert.equal("zstd", choose("gzip, br, zstd"))
    assert.equal("gzip", choose("zstd;q=0.8, gzip;q=0.9"))
    assert.equal("br", choose("br ; Q=0.3"))
  end)

  it("keeps identity where it is wanted more, or nothing is accepted", function()
    assert.equal("identity", choose("identity, gzip;q=0.9"))
    assert.equal("gzip", choose("identity, gzip"))
    assert.equal("identity", choose("gzip;q=0, br;q=0.0000"))
    assert.equal("identity", choose("gzip;q=2"))
    assert.equal("identity", choose("deflate, ,"))
  end)

  it("lets a star speak for the others only when told", function()
    assert.equal("identity", choose("*"))
    assert.equal("zstd", choose("*", true))
    assert.equal("br", choose("*, zstd;q=0", true))
  end)
end)

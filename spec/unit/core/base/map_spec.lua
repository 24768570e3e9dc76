local unit = require("spec.support.unit")
local base = require("spec.unit.core.base.support")
local C, ffi, str, text = unit.use("base/map.h", "base/hash.h", "base/rand.h"), base.ffi, base.str, base.text

local function value(n)
  return ffi.cast("void *", n)
end

local function number(p)
  return p ~= nil and tonumber(ffi.cast("intptr_t", p)) or nil
end

describe("map", function()
  it("does what a table does", function()
    local m, want, count = ffi.new("map"), {}, 0
    C.map_init(m)
    math.randomseed(7)
    for i = 1, 5000 do
      local key = "k" .. math.random(400)
      if math.random(3) == 1 then
        assert.are.equal(want[key], number(C.map_remove(m, str(key))))
        count = count - (want[key] and 1 or 0)
        want[key] = nil
      else
        assert.are.equal(want[key], number(C.map_put(m, str(key), value(i))))
        count = count + (want[key] and 0 or 1)
        want[key] = i
      end
      assert.are.equal(count, m.n)
    end
    for i = 1, 400 do
      assert.are.equal(want["k" .. i], number(C.map_get(m, str("k" .. i))))
    end
    local at, key, found, seen = ffi.new("uint32_t[1]"), ffi.new("str"), ffi.new("void *[1]"), 0
    while C.map_next(m, at, key, found) do
      assert.are.equal(want[text(key)], number(found[0]))
      seen = seen + 1
    end
    assert.are.equal(count, seen)
    C.map_fini(m)
  end)

  it("finds nothing in an empty map", function()
    local m = ffi.new("map")
    C.map_init(m)
    assert.is_nil(number(C.map_get(m, str("a"))))
    assert.is_nil(number(C.map_remove(m, str("a"))))
  end)
end)

describe("hash", function()
  it("is SipHash-1-3", function()
    -- key 00 01 .. 0f, as in the reference implementation of the 1-3 variant
    local k0, k1 = 0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL
    local a = C.hash_keyed(str(""), k0, k1)
    assert.are.equal("abac0158050fc4dc", require("bit").tohex(a))
    assert.is_true(C.hash_keyed(str("\0"), k0, k1) ~= a)
    assert.is_true(C.hash_keyed(str(""), k0, k1 + 1ULL) ~= a)
  end)

  it("is keyed per process", function()
    C.hash_seed(1, 2)
    local a = C.hash_bytes(str("key"))
    assert.is_true(a == C.hash_keyed(str("key"), 1, 2))
    C.hash_seed(3, 4)
    assert.is_true(a ~= C.hash_bytes(str("key")))
  end)

  it("computes CRC-32C", function()
    assert.are.equal(0xe3069283, C.hash_crc32c(0, str("123456789")))
    assert.are.equal(0xe3069283, C.hash_crc32c(C.hash_crc32c(0, str("1234")), str("56789")))
    assert.are.equal(0, C.hash_crc32c(0, str("")))
  end)
end)

describe("rand", function()
  it("stays below its bound and reaches everything", function()
    local seen = {}
    for _ = 1, 2000 do
      local n = C.rand_below(10)
      assert.is_true(n < 10)
      seen[n] = true
    end
    for n = 0, 9 do
      assert.is_true(seen[n])
    end
  end)

  it("begins anew after a seed", function()
    C.rand_seed()
    local a = C.rand_u64()
    C.rand_seed()
    assert.is_true(a ~= C.rand_u64())
  end)

  it("fills memory with secrets", function()
    local a, b = ffi.new("char[16]"), ffi.new("char[16]")
    C.rand_secure(a, 16)
    C.rand_secure(b, 16)
    assert.are_not.equal(ffi.string(a, 16), ffi.string(b, 16))
  end)
end)

describe("hash_murmur2", function()
  it("gives the values that others share out clients by", function()
    assert.are.equal(0x0, C.hash_murmur2(str("")))
    assert.are.equal(0x92685f5e, C.hash_murmur2(str("a")))
    assert.are.equal(0x13577c9b, C.hash_murmur2(str("abc")))
    assert.are.equal(0x26873021, C.hash_murmur2(str("abcd")))
    assert.are.equal(0xf9a1cef3, C.hash_murmur2(str("abcdefg")))
  end)
end)

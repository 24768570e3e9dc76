local unit = require("spec.support.unit")
local base = require("spec.unit.core.base.support")
local C, ffi, str, text = unit.use("base/pool.h"), base.ffi, base.str, base.text

local function new(size)
  local p = ffi.new("pool")
  C.pool_init(p, size)
  return ffi.gc(p, C.pool_fini)
end

describe("pool", function()
  it("takes nothing before the first allocation", function()
    local p = new(1024)
    assert.are.equal(0, p.total)
    assert.is_true(p.blocks == nil)
  end)

  it("hands out aligned memory that does not overlap", function()
    local p, seen = new(256), {}
    for n = 1, 300 do
      local at = C.pool_zalloc(p, n)
      assert.are.equal(0, tonumber(ffi.cast("uintptr_t", at) % 8))
      ffi.fill(at, n, n % 251)
      seen[n] = ffi.cast("uint8_t *", at)
    end
    for n = 1, 300 do
      assert.are.equal(n % 251, seen[n][0])
      assert.are.equal(n % 251, seen[n][n - 1])
    end
  end)

  it("runs clean-ups backwards, once", function()
    local p, order = new(256), {}
    local cb = ffi.cast("void (*)(void *)", function(arg)
      order[#order + 1] = tonumber(ffi.cast("intptr_t", arg))
    end)
    for i = 1, 3 do
      C.pool_on_fini(p, cb, ffi.cast("void *", i))
    end
    C.pool_reset(p)
    C.pool_reset(p)
    cb:free()
    assert.are.same({ 3, 2, 1 }, order)
  end)

  it("is small again after a reset", function()
    local p = new(256)
    for _ = 1, 20 do
      C.pool_zalloc(p, 200)
    end
    assert.is_true(p.total >= 4000)
    C.pool_reset(p)
    assert.is_true(p.total <= 256)
    assert.are.equal("x", text(C.pool_dup(p, str("x"))))
  end)

  it("refuses what passes the limit", function()
    local p = new(256)
    assert.is_true(C.pool_try_alloc(p, 1000, 2000) ~= nil)
    assert.is_true(C.pool_try_alloc(p, 1000, 2000) ~= nil)
    assert.is_true(C.pool_try_alloc(p, 1000, 2000) == nil)
    assert.is_true(C.pool_try_alloc(p, 2 ^ 40, 2 ^ 41) == nil)
  end)

  it("copies, prints and joins with a NUL behind", function()
    local p = new(256)
    assert.are.equal("abc", ffi.string(C.pool_cstr(p, str("abc"))))
    assert.are.equal("", text(C.pool_dup(p, str(""))))
    local long = ("x"):rep(1000)
    assert.are.equal("1 " .. long, text(C.pool_printf(p, "%d %s", ffi.cast("int", 1), long)))
    local parts = ffi.new("str[3]", { str("a"), str(""), str("bc") })
    local joined = C.pool_join(p, parts, 3)
    assert.are.equal("abc", text(joined))
    assert.are.equal(0, joined.p[3])
  end)
end)

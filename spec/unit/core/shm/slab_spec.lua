local unit = require("spec.support.unit")
local helper = require("spec.unit.core.shm.helper")
local ffi = unit.ffi
local C = unit.use("base/err.h", "shm/seg.h", "shm/slab.h")

describe("shm/slab", function()
  local slab, whole

  before_each(function()
    local seg = helper.segment(C, 65536)
    slab = ffi.cast("slab *", C.seg_data(seg))
    assert.equal(0, C.slab_init(slab, 60000))
    whole = C.slab_free_space(slab)
  end)

  it("hands out aligned blocks that do not overlap and takes all of them back", function()
    local refs, spans = {}, {}
    for i = 1, 200 do
      local n = i * 37 % 300 + 1
      local ref = C.slab_alloc(slab, n)
      assert.is_true(ref ~= 0)
      assert.is_true(C.slab_usable(slab, ref) >= n)
      refs[i] = ref
      spans[i] = { ref * 16, ref * 16 + tonumber(C.slab_usable(slab, ref)) }
    end
    table.sort(spans, function(a, b)
      return a[1] < b[1]
    end)
    for i = 2, #spans do
      assert.is_true(spans[i - 1][2] <= spans[i][1])
    end
    for i = 1, 200 do
      C.slab_free(slab, refs[i * 77 % 200 + 1])
    end
    assert.equal(whole, C.slab_free_space(slab))
  end)

  it("gives one block of the whole size after everything was freed in any order", function()
    local refs = {}
    repeat
      local ref = C.slab_alloc(slab, 100)
      refs[#refs + 1] = ref ~= 0 and ref or nil
    until ref == 0
    assert.is_true(#refs > 400)
    for i = 1, #refs, 2 do
      C.slab_free(slab, refs[i])
    end
    assert.equal(0, C.slab_alloc(slab, 1000))
    for i = 2, #refs, 2 do
      C.slab_free(slab, refs[i])
    end
    assert.is_true(C.slab_alloc(slab, C.slab_capacity(slab) - 8) ~= 0)
    assert.equal(0, tonumber(C.slab_free_space(slab)))
  end)

  it("refuses what can never fit and sizes that would overflow", function()
    assert.equal(0, C.slab_alloc(slab, 60000))
    assert.equal(0, C.slab_alloc(slab, 0xffffffffffffffffULL))
    assert.equal(0, C.slab_alloc(slab, 0x1000000000ULL))
    assert.equal(C.ERR_INVALID, C.slab_init(slab, 100))
  end)

  it("frees what was not marked and keeps what was", function()
    local kept, lost = C.slab_alloc(slab, 50), C.slab_alloc(slab, 5000)
    ffi.fill(C.slab_usable(slab, kept) and ffi.cast("char *", slab) + kept * 16, 50, 7)
    local _ = C.slab_alloc(slab, 3000)
    assert.equal(0, C.slab_check(slab))
    assert.is_true(C.slab_mark(slab, kept))
    assert.is_false(C.slab_mark(slab, kept))
    assert.is_false(C.slab_mark(slab, 0))
    assert.is_false(C.slab_mark(slab, 0x7fffffff))
    C.slab_sweep(slab)
    assert.equal(64, tonumber(whole - C.slab_free_space(slab)))
    assert.equal(7, (ffi.cast("char *", slab) + kept * 16)[49])
    C.slab_free(slab, kept)
    assert.equal(whole, C.slab_free_space(slab))
    assert.is_true(lost ~= 0 and C.slab_alloc(slab, 55000) ~= 0)
  end)

  it("finds a broken chain of sizes and can be reset", function()
    local ref = C.slab_alloc(slab, 50)
    ffi.cast("uint32_t *", ffi.cast("char *", slab) + ref * 16)[-1] = 0xffffffff
    assert.equal(C.ERR_INVALID, C.slab_check(slab))
    C.slab_reset(slab)
    assert.equal(0, C.slab_check(slab))
    assert.equal(whole, C.slab_free_space(slab))
  end)
end)

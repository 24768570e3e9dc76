-- Cells: fixed-size pieces from regions of their own.
local base = require "spec.unit.core.base.support"
local unit = require "spec.support.unit"
local C, ffi = unit.use("base/cells.h", "base/pool.h"), base.ffi

-- The sanitizer build makes every cell a malloc of its own: nothing is kept there.
local recycles = not (os.getenv("MG_TEST_LIB") or ""):find("asan", 1, true)

local function new(size)
  return ffi.new("cells", { size = size })
end

local function take(c, n)
  local out = {}
  for i = 1, n do
    out[i] = C.cells_take(c)
    assert.is_true(out[i] ~= nil)
  end
  return out
end

local function give(c, cells)
  for _, cell in ipairs(cells) do
    C.cells_give(c, cell)
  end
end

describe("base/cells", function()
  it("hands out cells that do not overlap", function()
    local c = new(64)
    local cells = take(c, 1000)
    for i, cell in ipairs(cells) do
      ffi.fill(cell, 64, i % 251)
    end
    for i, cell in ipairs(cells) do
      local bytes = ffi.cast("unsigned char *", cell)
      assert.equal(i % 251, bytes[0])
      assert.equal(i % 251, bytes[63])
    end
    give(c, cells)
  end)

  if recycles then
    it("gives the cell that came back last", function()
      local c = new(64)
      local a, b = C.cells_take(c), C.cells_take(c)
      C.cells_give(c, a)
      C.cells_give(c, b)
      assert.equal(b, C.cells_take(c))
      assert.equal(a, C.cells_take(c))
    end)

    it("gives back pages only of cells nobody needed since the trim before", function()
      local c = new(4096)
      local cells = take(c, 20)
      for _, cell in ipairs(cells) do
        ffi.fill(cell, 4096, 7)
      end
      give(c, cells)
      assert.equal(0, tonumber(C.cells_trim(c, 4))) -- all were in use a moment ago
      assert.equal(16 * 4096, tonumber(C.cells_trim(c, 4)))
      assert.equal(0, tonumber(C.cells_trim(c, 4))) -- once is enough
      local warm = C.cells_take(c)
      assert.equal(7, ffi.cast("unsigned char *", warm)[0]) -- the four on top were kept
    end)

    it("can use a cell again whose pages were given back", function()
      local c = new(4096)
      give(c, take(c, 8))
      C.cells_trim(c, 0)
      assert.equal(8 * 4096, tonumber(C.cells_trim(c, 0)))
      for _, cell in ipairs(take(c, 8)) do
        ffi.fill(cell, 4096, 9)
        assert.equal(9, ffi.cast("unsigned char *", cell)[4095])
      end
    end)
  end
end)

describe("base/pool with memory of its own", function()
  it("uses it first, grows beyond it, and has it back after a reset", function()
    local mine = ffi.new("char[256]")
    local p = ffi.new("pool")
    C.pool_init_own(p, 1024, mine, 256)
    local big = C.pool_grow(p, 600)
    ffi.fill(big, 600, 1)
    assert.is_true(p.total > 0)
    C.pool_reset(p)
    assert.equal(0, p.total)
    if recycles then
      assert.equal(ffi.cast("char *", mine), p.cur)
    end
    C.pool_fini(p)
  end)
end)

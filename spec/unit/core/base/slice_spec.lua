local unit = require("spec.support.unit")
local base = require("spec.unit.core.base.support")
local C, ffi, str = unit.use("base/mem.h", "base/slice.h"), base.ffi, base.str

--- As bufq_init does, which is inline.
local function new()
  local q = ffi.new("bufq")
  q.cap = C.BUFQ_FEW
  return ffi.gc(q, C.bufq_reset)
end

local function peek(q)
  local n = tonumber(q.bytes)
  local buf = ffi.new("char[?]", n + 1)
  assert.are.equal(n, tonumber(C.bufq_peek(q, buf, n + 1)))
  return ffi.string(buf, n)
end

local function slice_of(m, at, n)
  return ffi.new("slice", { p = m.data + at, n = n, mem = m })
end

describe("mem", function()
  it("recycles chunks and counts what is alive", function()
    local before = tonumber(C.mem_in_use())
    local m = C.mem_new(C.MEM_16K)
    assert.is_true(m.cap > 16000 and m.cap < 16384)
    assert.are.equal(before + tonumber(m.cap), tonumber(C.mem_in_use()))
    m.refs = 0
    C.mem_free(m)
    assert.are.equal(before, tonumber(C.mem_in_use()))
    C.mem_trim()
  end)

  it("takes the smallest class that holds", function()
    for _, pair in ipairs({ { 1, 0 }, { 4064, 0 }, { 4096, 1 }, { 16384, 2 }, { 262000, 3 }, { 262144, 4 } }) do
      local m = C.mem_try_new(pair[1])
      assert.are.equal(pair[2], m.klass)
      assert.is_true(m.cap >= pair[1])
      m.refs = 0
      C.mem_free(m)
    end
    assert.is_true(C.mem_try_new(-1ULL) == nil)
  end)
end)

describe("bufq", function()
  it("keeps order over growth and wrap-around", function()
    local q, want = new(), {}
    for i = 1, 200 do
      C.bufq_push_static(q, str(i .. ","))
      want[#want + 1] = i .. ","
      if i % 3 == 0 then
        C.bufq_drop(q, #want[1])
        table.remove(want, 1)
      end
    end
    assert.are.equal(table.concat(want), peek(q))
  end)

  it("merges neighbours of one chunk", function()
    local q, m = new(), C.mem_new(C.MEM_4K)
    ffi.copy(m.data, "abcdef")
    C.bufq_push_mem(q, m, m.data, 3)
    C.bufq_push_mem(q, m, m.data + 3, 3)
    assert.are.equal(1, q.n)
    assert.are.equal(2, m.refs)
    assert.are.equal("abcdef", peek(q))
    C.bufq_clear(q)
    assert.are.equal(1, m.refs)
    m.refs = 0
    C.mem_free(m)
  end)

  it("copies into chunks of its own and fills them", function()
    local q, parts = new(), {}
    for i = 1, 500 do
      parts[i] = ("%d "):format(i):rep(9)
      C.bufq_push_copy(q, str(parts[i]))
    end
    C.bufq_push_copy(q, str(("y"):rep(40000)))
    assert.are.equal(table.concat(parts) .. ("y"):rep(40000), peek(q))
    assert.is_true(q.n < 12)
  end)

  it("does not write into a chunk that somebody else sees", function()
    local q, m = new(), C.mem_new(C.MEM_4K)
    ffi.copy(m.data, "abXX")
    C.bufq_push_mem(q, m, m.data, 2)
    C.bufq_push_copy(q, str("cd"))
    assert.are.equal("abcd", peek(q))
    assert.are.equal("abXX", ffi.string(m.data, 4))
    C.bufq_reset(q)
    m.refs = 0
    C.mem_free(m)
  end)

  it("moves a number of bytes and splits a slice for it", function()
    local from, to = new(), new()
    local m = C.mem_new(C.MEM_4K)
    ffi.copy(m.data, "0123456789")
    C.bufq_push(from, slice_of(m, 0, 10))
    C.bufq_push_static(from, str("abc"))
    assert.are.equal(4, tonumber(C.bufq_move_n(to, from, 4)))
    assert.are.equal(2, m.refs)
    assert.are.equal("0123", peek(to))
    assert.are.equal("456789abc", peek(from))
    assert.are.equal(9, tonumber(C.bufq_move_n(to, from, 100)))
    assert.are.equal("0123456789abc", peek(to))
    assert.are.equal(0, from.n)
  end)

  it("moves everything and puts back in front", function()
    local from, to = new(), new()
    C.bufq_push_static(from, str("bc"))
    C.bufq_push_front(from, ffi.new("slice", { p = str("a").p, n = 1 }))
    C.bufq_move(to, from)
    C.bufq_push_static(from, str("d"))
    C.bufq_move(to, from)
    assert.are.equal("abcd", peek(to))
    assert.are.equal(0, tonumber(from.bytes))
    C.bufq_shrink(from)
    assert.is_true(from.v == nil)
  end)

  it("reads file slices where they are", function()
    unit.cdef("int open(const char *path, int flags, ...);")
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write("0123456789")
    file:close()
    local ref = C.fileref_new(ffi.C.open(path, 0))
    os.remove(path)
    local q, to = new(), new()
    C.bufq_push_static(q, str("<"))
    C.bufq_push_file(q, ref, 2, 5)
    C.bufq_push_file(q, ref, 7, 1)
    assert.are.equal(2, q.n)
    C.bufq_push_static(q, str(">"))
    assert.are.equal("<234567>", peek(q))
    C.bufq_move_n(to, q, 3)
    assert.are.equal("<23", peek(to))
    assert.are.equal("4567>", peek(q))
    C.bufq_drop(q, 2)
    assert.are.equal("67>", peek(q))
    assert.are.equal(3, ref.refs)
    C.fileref_unref(ref)
  end)
end)

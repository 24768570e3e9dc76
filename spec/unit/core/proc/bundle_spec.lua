local unit = require("spec.support.unit")
local ffi = unit.ffi
local C = unit.use("proc/bundle.h")
unit.cdef("int dup(int fd); long write(int fd, const void *p, size_t n); int ftruncate(int fd, long n);")

local str, text = unit.str, unit.text
local FILE, ENV, FACT = 1, 2, 4

--- A sealed bundle of { { kind, key, value }… }, or nil and why.
local function build(items)
  local draft = C.bundle_draft_new()
  for _, item in ipairs(items) do
    C.bundle_add(draft, item[1], str(item[2]), str(item[3]))
  end
  local fd = C.bundle_memfd()
  assert.equal(0, C.bundle_draft_write(draft, fd))
  C.bundle_draft_free(draft)
  local err = ffi.new("char[256]")
  local b = C.bundle_open(fd, err, 256)
  if b == nil then
    return nil, ffi.string(err)
  end
  return ffi.gc(b, C.bundle_unref)
end

local function find(b, kind, key)
  local value = ffi.new("str[1]")
  return C.bundle_find(b, kind, str(key), value) and text(value[0]) or nil
end

describe("a bundle", function()
  it("gives back every byte by kind and key", function()
    local b = build({ { FILE, "/a.lua", "return 1\0\255" }, { ENV, "/a.lua", "other" }, { FILE, "/empty", "" } })
    assert.equal("return 1\0\255", find(b, FILE, "/a.lua"))
    assert.equal("other", find(b, ENV, "/a.lua"))
    assert.equal("", find(b, FILE, "/empty"))
    assert.is_nil(find(b, FILE, "/b.lua"))
  end)

  it("keeps the first of a file read twice, and all facts in order", function()
    local b = build({ { FILE, "a", "1" }, { FILE, "a", "2" }, { FACT, "f", "x" }, { FACT, "f", "y" } })
    assert.equal("1", find(b, FILE, "a"))
    local at, kind = ffi.new("size_t[1]"), ffi.new("enum bundle_kind[1]")
    local key, value, facts = ffi.new("str[1]"), ffi.new("str[1]"), {}
    while C.bundle_next(b, at, kind, key, value) do
      facts[#facts + 1] = tonumber(kind[0]) == FACT and text(value[0]) or nil
    end
    assert.same({ "x", "y" }, facts)
  end)

  it("is named by what it contains, facts apart", function()
    local hash = function(items)
      return ffi.string(C.bundle_hash(build(items)))
    end
    local base = hash({ { FILE, "a", "b" } })
    assert.equal(64, #base)
    assert.equal(base, hash({ { FILE, "a", "b" }, { FACT, "x", "y" } }))
    assert.are_not.equal(base, hash({ { FILE, "ab", "" } }))
    assert.are_not.equal(base, hash({ { ENV, "a", "b" } }))
  end)

  it("cannot be changed any more", function()
    local b = build({ { FILE, "a", "b" } })
    assert.equal(-1, tonumber(ffi.C.write(C.bundle_fd(b), "x", 1)))
    assert.equal(-1, ffi.C.ftruncate(C.bundle_fd(b), 0))
  end)

  it("that is empty, cut or garbage is refused with a text", function()
    local err = ffi.new("char[256]")
    assert.is_true(C.bundle_open(C.bundle_memfd(), err, 256) == nil)
    assert.matches("empty", ffi.string(err))
    for _, garbage in ipairs({ "x", ("x"):rep(200), "MGBUND1\0" .. ("\255"):rep(200) }) do
      local fd = C.bundle_memfd()
      ffi.C.write(fd, garbage, #garbage)
      assert.is_true(C.bundle_open(fd, err, 256) == nil)
      assert.matches("damaged", ffi.string(err))
    end
  end)
end)

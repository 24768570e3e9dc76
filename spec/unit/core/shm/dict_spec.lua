local unit = require("spec.support.unit")
local helper = require("spec.unit.core.shm.helper")
local ffi = unit.ffi
local C = unit.use("base/err.h", "shm/seg.h", "shm/dict.h")

local room = ffi.new("char[70000]")

--- A dict_value of a Lua value; the string stays referenced by the caller.
local function value(v, flags)
  local out = ffi.new("dict_value")
  if type(v) == "number" then
    out.type, out.num = C.DICT_NUMBER, v
  elseif type(v) == "boolean" then
    out.type, out.boolean = C.DICT_BOOLEAN, v
  elseif type(v) == "string" then
    out.type, out.s = C.DICT_STRING, unit.str(v)
  end
  out.flags = flags or 0
  return out
end

local function reader(cap)
  local out = ffi.new("dict_value")
  out.buf, out.cap = room, cap or 70000
  return out
end

local function unwrap(out)
  if out.type == C.DICT_NUMBER then
    return out.num
  elseif out.type == C.DICT_BOOLEAN then
    return out.boolean
  end
  return unit.text(out.s)
end

describe("shm/dict", function()
  local dict, seg

  local function get(key, now)
    local out = reader()
    local code = C.dict_get(dict, unit.str(key), now or 1, out)
    if code ~= 0 then
      return nil, code
    end
    return unwrap(out), out.flags
  end

  local function set(key, v, ttl, now, flags)
    return C.dict_set(dict, unit.str(key), value(v, flags), ttl or 0, now or 1)
  end

  local function incr(key, by, now)
    local out = ffi.new("double[1]")
    local code = C.dict_incr(dict, unit.str(key), by, now or 1, out)
    return code == 0 and out[0] or nil, code
  end

  local function keys(max, cap)
    local out = ffi.new("dict_keys")
    out.buf, out.cap = room, cap or 70000
    C.dict_get_keys(dict, max, 1, out)
    local list, at, box = {}, ffi.new("size_t[1]"), ffi.new("str[1]")
    while C.dict_keys_next(out, at, box) do
      list[#list + 1] = unit.text(box[0])
    end
    return list, tonumber(out.need)
  end

  before_each(function()
    dict, seg = helper.open(C, 65536, "dict", C.dict_open)
  end)

  after_each(function()
    C.seg_close(seg)
  end)

  describe("values", function()
    it("gives back numbers, booleans and strings with their flags", function()
      assert.equal(0, set("n", 1.5, 0, 1, 7))
      assert.equal(0, set("b", false))
      assert.equal(0, set("s", "bytes\0and more"))
      assert.equal(0, set("e", ""))
      assert.same({ 1.5, 7 }, { get("n") })
      assert.same({ false, 0 }, { get("b") })
      assert.same({ "bytes\0and more", 0 }, { get("s") })
      assert.same({ "", 0 }, { get("e") })
      assert.same({ nil, C.ERR_NOT_FOUND }, { get("x") })
    end)

    it("changes type and length in place and by moving", function()
      for _, v in ipairs({ "short", ("long"):rep(500), 3, true, ("x"):rep(40), "y", ("z"):rep(9000) }) do
        assert.equal(0, set("k", v))
        assert.equal(v, (get("k")))
      end
      assert.same({ "k" }, (keys(0)))
    end)

    it("deletes with nil and with delete", function()
      set("a", 1)
      set("b", 2)
      assert.equal(0, set("a", nil))
      C.dict_delete(dict, unit.str("b"))
      C.dict_delete(dict, unit.str("never there"))
      assert.same({}, (keys(0)))
    end)

    it("refuses empty and overlong keys", function()
      assert.equal(C.ERR_INVALID, set("", 1))
      assert.equal(C.ERR_INVALID, set(("k"):rep(65536), 1))
      assert.equal(C.ERR_INVALID, (select(2, get(""))))
    end)

    it("says how much room a string needs", function()
      set("s", "0123456789")
      local out = reader(9)
      assert.equal(C.ERR_LIMIT, C.dict_get(dict, unit.str("s"), 1, out))
      assert.equal(10, tonumber(out.s.n))
      assert.is_true(out.s.p == nil)
    end)

    it("adds only what is absent and replaces only what is there", function()
      assert.equal(C.ERR_NOT_FOUND, C.dict_replace(dict, unit.str("k"), value(1), 0, 1))
      assert.equal(0, C.dict_add(dict, unit.str("k"), value(1), 10, 1))
      assert.equal(C.ERR_EXISTS, C.dict_add(dict, unit.str("k"), value(2), 0, 5))
      assert.equal(0, C.dict_replace(dict, unit.str("k"), value(3), 10, 5))
      assert.equal(3, (get("k", 5)))
      assert.equal(C.ERR_NOT_FOUND, C.dict_replace(dict, unit.str("k"), value(4), 0, 15))
      assert.equal(0, C.dict_safe_add(dict, unit.str("k"), value(5), 0, 15))
      assert.equal(5, (get("k", 15)))
    end)
  end)

  describe("incr", function()
    it("adds to a number and keeps its expiry", function()
      set("n", 40, 100, 1)
      assert.equal(42, (incr("n", 2, 50)))
      assert.equal(41.5, (incr("n", -0.5, 50)))
      assert.is_nil((get("n", 101)))
    end)

    it("tells an absent key from one that is no number", function()
      assert.same({ nil, C.ERR_NOT_FOUND }, { incr("none", 1) })
      set("s", "text")
      assert.same({ nil, C.ERR_INVALID }, { incr("s", 1) })
    end)

    it("starts from init when the key is absent or expired", function()
      local out, how = ffi.new("double[1]"), ffi.new("dict_incr_init", { by = 1, init = 10, ttl_ms = 20 })
      assert.equal(0, C.dict_incr_or_init(dict, unit.str("n"), how, 1, out))
      assert.equal(11, out[0])
      assert.equal(0, C.dict_incr_or_init(dict, unit.str("n"), how, 2, out))
      assert.equal(12, out[0])
      assert.equal(0, C.dict_incr_or_init(dict, unit.str("n"), how, 21, out))
      assert.equal(11, out[0])
    end)

    it("loses no increment between two processes", function()
      set("n", 0)
      local function work()
        for _ = 1, 50000 do
          assert(incr("n", 1))
        end
      end
      local pid = helper.child(work)
      work()
      assert.is_true(helper.join(pid))
      assert.equal(100000, (get("n")))
    end)
  end)

  describe("expiry", function()
    it("hides an entry from its time on, but get_stale finds it", function()
      set("k", "v", 100, 1000)
      assert.equal("v", (get("k", 1099)))
      assert.is_nil((get("k", 1100)))
      local out = reader()
      assert.equal(0, C.dict_get_stale(dict, unit.str("k"), 1100, out))
      assert.is_true(out.stale)
      assert.equal("v", unwrap(out))
      assert.equal(0, C.dict_get_stale(dict, unit.str("k"), 1099, out))
      assert.is_false(out.stale)
    end)

    it("tells and changes the time to live", function()
      local ttl = ffi.new("int64_t[1]")
      set("k", 1, 100, 1000)
      assert.equal(0, C.dict_ttl(dict, unit.str("k"), 1040, ttl))
      assert.equal(60, tonumber(ttl[0]))
      assert.equal(0, C.dict_expire(dict, unit.str("k"), 500, 1040))
      assert.equal(0, C.dict_ttl(dict, unit.str("k"), 1040, ttl))
      assert.equal(500, tonumber(ttl[0]))
      assert.equal(0, C.dict_expire(dict, unit.str("k"), 0, 1040))
      assert.equal(0, C.dict_ttl(dict, unit.str("k"), 9e15, ttl))
      assert.equal(0, tonumber(ttl[0]))
      assert.equal(C.ERR_NOT_FOUND, C.dict_ttl(dict, unit.str("x"), 1, ttl))
      assert.equal(C.ERR_NOT_FOUND, C.dict_expire(dict, unit.str("x"), 1, 1))
    end)

    it("flushes everything logically, and for good on request", function()
      local before = C.dict_free_space(dict)
      for i = 1, 10 do
        set("k" .. i, i)
      end
      C.dict_flush_all(dict)
      assert.is_nil((get("k3", 2)))
      local out = reader()
      assert.equal(0, C.dict_get_stale(dict, unit.str("k3"), 2, out))
      assert.equal(4, C.dict_flush_expired(dict, 4, 2))
      assert.equal(6, C.dict_flush_expired(dict, 0, 2))
      assert.equal(before, C.dict_free_space(dict))
    end)

    it("lets writers reap expired entries from the old end", function()
      set("old1", 1, 10, 1)
      set("old2", 1, 10, 1)
      set("new", 1, 0, 100)
      local status = ffi.new("dict_status")
      C.dict_get_status(dict, status)
      assert.equal(1, tonumber(status.entries))
      assert.equal(2, tonumber(status.expired))
    end)
  end)

  describe("a full dictionary", function()
    local function fill(safe)
      local text = ("x"):rep(1000)
      for i = 1, 1000 do
        local store = safe and C.dict_safe_set or C.dict_set
        local code = store(dict, unit.str("k" .. i), value(text), 0, 1)
        if code ~= 0 then
          return i, code
        end
      end
    end

    it("evicts the least recently used and says it was forced", function()
      local n, code = fill(true)
      assert.equal(C.ERR_MEM, code)
      assert.is_true(n > 40)
      assert.is_string((get("k1"))) -- now the youngest
      assert.equal(C.DICT_FORCED, set("more", ("x"):rep(1000)))
      assert.is_string((get("k1")))
      assert.is_nil((get("k2")))
      assert.is_string((get("k3")))
    end)

    it("does not call it forced when only expired entries had to go", function()
      for i = 1, 30 do
        set("k" .. i, ("x"):rep(1500), 10, 1)
      end
      assert.equal(0, set("big", ("y"):rep(40000), 0, 100))
      assert.equal(40000, #get("big", 100))
    end)

    it("evicts as many small entries as one large value needs", function()
      assert.is_true(fill(true) > 40)
      assert.equal(C.DICT_FORCED, set("big", ("y"):rep(50000)))
      assert.equal(50000, #get("big"))
    end)

    it("refuses what can never fit and keeps the rest", function()
      set("k", "v")
      assert.equal(C.ERR_MEM, set("huge", ("y"):rep(66000)))
      assert.equal(C.ERR_MEM, set("k", ("y"):rep(66000)))
      assert.is_true(#keys(0) <= 1)
    end)

    it("keeps the old value when safe_set finds no room", function()
      fill(true)
      local before = get("k5")
      local code = C.dict_safe_set(dict, unit.str("k5"), value(("z"):rep(5000)), 0, 1)
      assert.equal(C.ERR_MEM, code)
      assert.equal(before, (get("k5")))
    end)
  end)

  describe("get_keys", function()
    it("lists unexpired keys, most recently used first, up to a maximum", function()
      set("a", 1)
      set("b", 1)
      set("gone", 1, 1, 0)
      set("c", 1)
      get("a")
      assert.same({ "a", "c", "b" }, (keys(0)))
      assert.same({ "a", "c" }, (keys(2)))
    end)

    it("says how much room is missing", function()
      set("a", 1)
      set("bb", 1)
      set("ccc", 1)
      local list, need = keys(0, 9)
      assert.same({ "ccc", "bb" }, list)
      assert.equal(12, need)
    end)
  end)

  describe("lists", function()
    local function push(side, key, v)
      return C["dict_" .. side .. "push"](dict, unit.str(key), value(v), 1)
    end

    local function pop(side, key)
      local out = reader()
      local code = C["dict_" .. side .. "pop"](dict, unit.str(key), 1, out)
      return code == 0 and unwrap(out) or nil, code
    end

    it("pushes and pops at both ends", function()
      assert.equal(1, push("r", "q", "b"))
      assert.equal(2, push("r", "q", 3))
      assert.equal(3, push("l", "q", "a"))
      assert.equal(3, C.dict_llen(dict, unit.str("q"), 1))
      assert.equal("a", (pop("l", "q")))
      assert.equal(3, (pop("r", "q")))
      assert.equal("b", (pop("r", "q")))
      assert.equal(C.ERR_NOT_FOUND, (select(2, pop("r", "q"))))
      assert.equal(0, C.dict_llen(dict, unit.str("q"), 1))
      assert.same({}, (keys(0)))
    end)

    it("keeps lists and scalars apart", function()
      set("s", 1)
      push("l", "q", 1)
      assert.equal(C.ERR_INVALID, push("l", "s", 1))
      assert.equal(C.ERR_INVALID, C.dict_llen(dict, unit.str("s"), 1))
      assert.equal(C.ERR_INVALID, (select(2, pop("l", "s"))))
      assert.equal(C.ERR_INVALID, (select(2, get("q"))))
      assert.equal(C.ERR_INVALID, (select(2, incr("q", 1))))
      assert.equal(C.ERR_INVALID, push("l", "q", true))
      assert.equal(0, set("q", "scalar now"))
      assert.equal("scalar now", (get("q")))
    end)

    it("frees all items with the list and never evicts to push", function()
      local before = C.dict_free_space(dict)
      local code
      repeat
        code = push("l", "q", ("x"):rep(500))
      until code < 0
      assert.equal(C.ERR_MEM, code)
      C.dict_delete(dict, unit.str("q"))
      assert.equal(before, C.dict_free_space(dict))
    end)
  end)

  it("keeps its content when it is opened again, and refuses what is no dict", function()
    set("k", "v")
    local again = ffi.new("dict *[1]")
    assert.equal(0, C.dict_open(seg, again))
    assert.equal(dict, again[0])
    assert.equal("v", (get("k")))
    local other = helper.segment(C, 65536)
    C.seg_ready(other, 99, 1)
    assert.equal(C.ERR_INVALID, C.dict_open(other, again))
    assert.equal(C.ERR_INVALID, C.dict_open(helper.segment(C, 4096), again))
  end)

  it("agrees with a plain model over many random operations", function()
    local model, random = {}, 12345
    local function roll(n)
      random = (random * 1103515245 + 12345) % 2147483648
      return math.floor(random / 65536) % n
    end
    for _ = 1, 20000 do
      local key = "key" .. roll(30)
      local what = roll(4)
      if what == 0 then
        local v = ("v"):rep(roll(600))
        assert.equal(0, set(key, v))
        model[key] = v
      elseif what == 1 then
        local v = roll(1000)
        assert.equal(0, set(key, v))
        model[key] = v
      elseif what == 2 then
        C.dict_delete(dict, unit.str(key))
        model[key] = nil
      else
        assert.equal(model[key], (get(key)))
      end
    end
  end)
end)

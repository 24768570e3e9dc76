--- Workers are killed inside dictionary operations; the others go on with a whole dictionary.
local unit = require("spec.support.unit")
local helper = require("spec.unit.core.shm.helper")
local ffi = unit.ffi
local C = unit.use("base/err.h", "shm/seg.h", "shm/dict_core.h")

local room = ffi.new("char[4096]") -- referenced: a dict_value does not keep its buffer alive

local function number(n)
  return ffi.new("dict_value", { type = C.DICT_NUMBER, num = n })
end

local function text(s)
  return ffi.new("dict_value", { type = C.DICT_STRING, s = unit.str(s) })
end

local function status(dict)
  local out = ffi.new("dict_status")
  C.dict_get_status(dict, out)
  return out
end

--- Everything still works, and no byte is lost when all entries have gone.
local function assert_whole(dict, free)
  local out = ffi.new("dict_value")
  out.buf, out.cap = room, 4096
  for i = 0, 19 do
    local code = C.dict_get(dict, unit.str("k" .. i), 1, out)
    assert.is_true(code == 0 or code == C.ERR_NOT_FOUND)
    if code == 0 and out.type == C.DICT_STRING then
      local s = unit.text(out.s)
      assert.equal(s:sub(1, 1):rep(#s), s) -- never half of one value and half of another
    end
    while C.dict_lpop(dict, unit.str("q" .. i), 1, out) == 0 do
      assert.is_true(out.type == C.DICT_NUMBER)
    end
  end
  C.dict_flush_all(dict)
  C.dict_flush_expired(dict, 0, 2)
  assert.equal(0, tonumber(status(dict).entries))
  assert.equal(free, tonumber(C.dict_free_space(dict)))
end

describe("shm/dict after a killed worker", function()
  local dict, seg, free, moment

  before_each(function()
    dict, seg = helper.open(C, 65536, "dict", C.dict_open)
    free = tonumber(C.dict_free_space(dict))
    moment = helper.counter(C)
  end)

  after_each(function()
    C.seg_close(seg)
  end)

  --- Runs fn in a child that holds the lock, and kills it there.
  local function die_holding(fn)
    local pid = helper.child(function()
      C.lock_take(ffi.cast("lock *", dict), nil, nil)
      fn()
      moment[0] = 1
      while true do
        ffi.C.sched_yield()
      end
    end)
    helper.await(moment, 1)
    helper.kill(pid)
  end

  it("drops an entry whose bytes were being changed and keeps its neighbours", function()
    for i = 0, 9 do
      assert(C.dict_set(dict, unit.str("k" .. i), text(("a"):rep(50)), 0, 1) == 0)
    end
    die_holding(function()
      local ref = dict.lru_head
      local node = ffi.cast("dict_node *", ffi.cast("char *", dict) + dict.slab_at + ref * 16ULL)
      node.state = C.DICT_DIRTY
      node.data[10] = 66
    end)
    assert.equal(9, tonumber(status(dict).entries))
    assert.equal(1, status(dict).repairs)
    assert_whole(dict, free)
  end)

  it("frees a block that was allocated but not linked yet", function()
    assert(C.dict_set(dict, unit.str("k1"), number(5), 0, 1) == 0)
    die_holding(function()
      assert(C.dict_core_new(dict, unit.str("half"), 77, 5000, 1, nil) ~= 0)
    end)
    assert.equal(1, tonumber(status(dict).entries))
    assert_whole(dict, free)
  end)

  it("rebuilds the LRU list and counts that were torn", function()
    for i = 0, 9 do
      assert(C.dict_set(dict, unit.str("k" .. i), number(i), 0, 1) == 0)
      assert(C.dict_rpush(dict, unit.str("q" .. i), number(i), 1) == 1)
      assert(C.dict_rpush(dict, unit.str("q" .. i), number(i), 1) == 2)
    end
    die_holding(function()
      dict.lru_head, dict.lru_tail, dict.entries = 1234567, 99, 3
    end)
    assert.equal(20, tonumber(status(dict).entries))
    assert.equal(2, C.dict_llen(dict, unit.str("q3"), 1))
    assert_whole(dict, free)
  end)

  it("cuts a hash chain that leads nowhere or in a circle", function()
    for i = 0, 19 do
      assert(C.dict_set(dict, unit.str("k" .. i), number(i), 0, 1) == 0)
    end
    die_holding(function()
      local node = ffi.cast("dict_node *", ffi.cast("char *", dict) + dict.slab_at + dict.lru_head * 16ULL)
      node.next = dict.lru_head
      local tail = ffi.cast("dict_node *", ffi.cast("char *", dict) + dict.slab_at + dict.lru_tail * 16ULL)
      tail.next = 0x3fffffff
    end)
    assert.is_true(status(dict).entries >= 10)
    assert_whole(dict, free)
  end)

  it("starts empty when the memory itself is broken", function()
    assert(C.dict_set(dict, unit.str("k1"), number(5), 0, 1) == 0)
    die_holding(function()
      local node = ffi.cast("char *", dict) + dict.slab_at + dict.lru_head * 16ULL
      ffi.cast("uint32_t *", node)[-1] = 0xffffffff
    end)
    assert.equal(0, tonumber(status(dict).entries))
    assert_whole(dict, free)
  end)

  it("survives workers killed at arbitrary instructions", function()
    local values = { ("a"):rep(30), ("b"):rep(700), ("c"):rep(3000), ("d"):rep(80) }
    local function work()
      local n = 0
      while true do
        n = n + 1
        local key = unit.str("k" .. n * 7 % 20)
        local list = unit.str("q" .. n * 3 % 20)
        local _ = C.dict_set(dict, key, text(values[n % 4 + 1]), 0, 1)
        _ = C.dict_rpush(dict, list, number(n), 1)
        _ = C.dict_lpush(dict, list, number(n), 1)
        if n % 3 == 0 then
          C.dict_delete(dict, unit.str("k" .. n * 11 % 20))
          C.dict_delete(dict, unit.str("q" .. n % 20))
        end
        moment[0] = moment[0] + 1
      end
    end
    for round = 1, 60 do
      local pid = helper.child(work)
      helper.await(moment, tonumber(moment[0]) + 20 + round * 13 % 50)
      helper.kill(pid)
      assert_whole(dict, free)
    end
  end)
end)

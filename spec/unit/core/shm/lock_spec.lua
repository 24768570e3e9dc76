local unit = require("spec.support.unit")
local helper = require("spec.unit.core.shm.helper")
local ffi = unit.ffi
local C = unit.use("shm/seg.h", "shm/lock.h")

describe("shm/lock", function()
  local lock, value, moment

  before_each(function()
    local data = ffi.cast("char *", C.seg_data(helper.segment(C, 4096)))
    lock = ffi.cast("lock *", data)
    value = ffi.cast("volatile uint64_t *", data + 64)
    moment = helper.counter(C)
    C.lock_init(lock)
  end)

  it("keeps two processes that count apart", function()
    local function work()
      for _ = 1, 200000 do
        C.lock_take(lock, nil, nil)
        value[0] = value[0] + 1
        C.lock_release(lock)
      end
    end
    local pid = helper.child(work)
    work()
    assert.is_true(helper.join(pid))
    assert.equal(400000, tonumber(value[0]))
    assert.equal(0, lock.repairs)
    assert.equal(0, lock.word)
  end)

  it("hands the lock of a killed owner to the next taker, with a repair", function()
    local pid = helper.child(function()
      C.lock_take(lock, nil, nil)
      value[0] = 13
      moment[0] = 1
      while true do
        ffi.C.sched_yield()
      end
    end)
    helper.await(moment, 1)
    helper.kill(pid)
    local repaired = 0
    local repair = ffi.cast("lock_repair *", function(arg)
      assert(arg == ffi.cast("void *", lock))
      repaired = repaired + 1
      value[0] = 0
    end)
    C.lock_take(lock, repair, lock)
    assert.equal(1, repaired)
    assert.equal(0, tonumber(value[0]))
    C.lock_release(lock)
    C.lock_take(lock, repair, lock)
    C.lock_release(lock)
    assert.equal(1, repaired)
    assert.equal(1, lock.repairs)
    repair:free()
  end)

  it("wakes a process that sleeps for the lock when its owner is killed", function()
    local owner = helper.child(function()
      C.lock_take(lock, nil, nil)
      moment[0] = 1
      while true do
        ffi.C.sched_yield()
      end
    end)
    helper.await(moment, 1)
    local sleeper = helper.child(function()
      local repair = ffi.cast("lock_repair *", function()
        value[0] = 77
      end)
      C.lock_take(lock, repair, nil)
      C.lock_release(lock)
    end)
    local word = ffi.cast("volatile uint32_t *", lock)
    for _ = 1, 10000000 do -- the waiters bit: the sleeper is past its spin
      if word[0] >= 0x80000000 then
        break
      end
      ffi.C.sched_yield()
    end
    assert.is_true(word[0] >= 0x80000000)
    helper.kill(owner)
    assert.is_true(helper.join(sleeper))
    assert.equal(77, tonumber(value[0]))
    C.lock_take(lock, nil, nil)
    C.lock_release(lock)
    assert.equal(0, lock.word)
  end)

  it("repairs again when the one who repairs is killed too", function()
    local function die_inside(at)
      local pid = helper.child(function()
        local repair = ffi.cast("lock_repair *", function()
          moment[0] = at
          while true do
            ffi.C.sched_yield()
          end
        end)
        C.lock_take(lock, repair, nil)
        moment[0] = at
        while true do
          ffi.C.sched_yield()
        end
      end)
      helper.await(moment, at)
      helper.kill(pid)
    end
    die_inside(1)
    die_inside(2)
    die_inside(3)
    local repaired = 0
    local repair = ffi.cast("lock_repair *", function()
      repaired = repaired + 1
    end)
    C.lock_take(lock, repair, nil)
    C.lock_release(lock)
    repair:free()
    assert.equal(1, repaired)
    assert.equal(3, lock.repairs)
  end)
end)

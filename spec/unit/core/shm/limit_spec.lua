local unit = require("spec.support.unit")
local helper = require("spec.unit.core.shm.helper")
local ffi = unit.ffi
local C = unit.use("base/err.h", "shm/seg.h", "shm/limit.h", "shm/lock.h")

local SECOND = 1000000

describe("shm/limit", function()
  local limit, result

  --- @param opt {rate:number, burst?:integer, cost?:integer, dry?:boolean}
  local function ask(key, now, opt)
    local a = ffi.new("limit_ask", {
      emission_us = SECOND / opt.rate, burst = opt.burst or 0, cost = opt.cost or 1, now_us = now,
      dry = opt.dry or false,
    })
    local verdict = C.limit_rate(limit, unit.str(key), a, result)
    return verdict, tonumber(result.delay_us), tonumber(result.retry_us), result.remaining,
      tonumber(result.reset_us)
  end

  before_each(function()
    limit = helper.open(C, 65536, "limit", C.limit_open)
    result = ffi.new("limit_result")
  end)

  it("allows one request per emission interval without a burst", function()
    local opt = { rate = 10 }
    assert.same({ C.LIMIT_ALLOWED, 0, 0, 0, 100000 }, { ask("k", SECOND, opt) })
    assert.same({ C.LIMIT_REFUSED, 0, 1, 0, 100000 - 99999 }, { ask("k", SECOND + 99999, opt) })
    assert.same({ C.LIMIT_ALLOWED, 0, 0, 0, 100000 }, { ask("k", SECOND + 100000, opt) })
  end)

  it("lets a burst pass early, says how long it would wait and what remains", function()
    local opt = { rate = 10, burst = 2 }
    assert.same({ C.LIMIT_ALLOWED, 0, 0, 2, 100000 }, { ask("k", SECOND, opt) })
    assert.same({ C.LIMIT_DELAYED, 100000, 0, 1, 200000 }, { ask("k", SECOND, opt) })
    assert.same({ C.LIMIT_DELAYED, 200000, 0, 0, 300000 }, { ask("k", SECOND, opt) })
    assert.same({ C.LIMIT_REFUSED, 0, 100000, 0, 300000 }, { ask("k", SECOND, opt) })
    assert.same({ C.LIMIT_REFUSED, 0, 40000, 0, 240000 }, { ask("k", SECOND + 60000, opt) })
    assert.same({ C.LIMIT_DELAYED, 200000, 0, 0, 300000 }, { ask("k", SECOND + 100000, opt) })
  end)

  it("does not save up more than the burst", function()
    local opt = { rate = 10, burst = 1 }
    for _, now in ipairs({ SECOND, 3600 * SECOND }) do
      assert.equal(C.LIMIT_ALLOWED, (ask("k", now, opt)))
      assert.equal(C.LIMIT_DELAYED, (ask("k", now, opt)))
      assert.equal(C.LIMIT_REFUSED, (ask("k", now, opt)))
    end
  end)

  it("charges the cost, and never lets pass what costs more than the quota", function()
    local opt = { rate = 1, burst = 9, cost = 4 }
    assert.same({ C.LIMIT_ALLOWED, 0, 0, 6, 4 * SECOND }, { ask("k", SECOND, opt) })
    assert.equal(C.LIMIT_DELAYED, (ask("k", SECOND, opt)))
    local verdict, _, retry, remaining = ask("k", SECOND, opt)
    assert.same({ C.LIMIT_REFUSED, 2 * SECOND, 2 }, { verdict, retry, remaining })
    verdict, _, retry = ask("other", SECOND, { rate = 1, burst = 9, cost = 11 })
    assert.same({ C.LIMIT_REFUSED, -1 }, { verdict, retry })
    assert.equal(C.LIMIT_ALLOWED, (ask("other", SECOND, { rate = 1, burst = 9, cost = 10 })))
  end)

  it("only looks when asked to, and with cost 0", function()
    local opt = { rate = 1, dry = true }
    assert.equal(C.LIMIT_ALLOWED, (ask("k", SECOND, opt)))
    assert.equal(C.LIMIT_ALLOWED, (ask("k", SECOND, { rate = 1 })))
    assert.equal(C.LIMIT_REFUSED, (ask("k", SECOND, opt)))
    assert.is_true((ask("k", SECOND, { rate = 1, cost = 0 })) ~= C.LIMIT_REFUSED)
  end)

  it("forgets a key on request", function()
    ask("k", SECOND, { rate = 1 })
    C.limit_forget(limit, unit.str("k"))
    assert.equal(C.LIMIT_ALLOWED, (ask("k", SECOND, { rate = 1 })))
  end)

  it("keeps keys apart: empty, long, and long with the same beginning", function()
    local long = ("x"):rep(200)
    local keys = { "", "a", "b", ("y"):rep(47), ("y"):rep(48), long .. "1", long .. "2", long .. "12" }
    for _, key in ipairs(keys) do
      assert.equal(C.LIMIT_ALLOWED, (ask(key, SECOND, { rate = 1 })))
    end
    for _, key in ipairs(keys) do
      assert.equal(C.LIMIT_REFUSED, (ask(key, SECOND, { rate = 1 })))
    end
  end)

  it("survives extreme figures", function()
    local a = ffi.new("limit_ask", { emission_us = 0x7fffffffffffffffLL, burst = 0xffffffff,
      cost = 0xffffffff, now_us = SECOND })
    assert.equal(C.LIMIT_ALLOWED + 0, C.limit_rate(limit, unit.str("k"), ffi.new("limit_ask", {
      emission_us = -5, cost = 1, now_us = SECOND }), result))
    assert.is_true(C.limit_rate(limit, unit.str("k2"), a, result) >= 0)
    assert.is_true(tonumber(result.reset_us) >= 0)
  end)

  it("sacrifices light keys to a flood of new ones, not the heavy one", function()
    local opt = { rate = 1, burst = 1000 }
    for _ = 1, 1000 do
      ask("heavy", SECOND, opt)
    end
    for i = 1, 20000 do
      ask("flood" .. i, SECOND, opt)
    end
    local status = ffi.new("limit_status")
    C.limit_get_status(limit, SECOND, status)
    assert.is_true(status.evicted > 10000)
    assert.is_true(status.live <= status.entries)
    assert.equal(0, select(4, ask("heavy", SECOND + 1, { rate = 1, burst = 1000, dry = true })))
  end)

  it("counts over processes, also past one that was killed inside", function()
    local moment = helper.counter(C)
    local pid = helper.child(function()
      ask("k", SECOND, { rate = 1, burst = 1 })
      C.lock_take(ffi.cast("lock *", limit), nil, nil)
      moment[0] = 1
      while true do
        ffi.C.sched_yield()
      end
    end)
    helper.await(moment, 1)
    helper.kill(pid)
    assert.equal(C.LIMIT_DELAYED, (ask("k", SECOND, { rate = 1, burst = 1 })))
    assert.equal(C.LIMIT_REFUSED, (ask("k", SECOND, { rate = 1, burst = 1 })))
  end)

  it("refuses a segment that is too small or holds something else", function()
    local out = ffi.new("limit *[1]")
    local seg = helper.segment(C, 65536)
    C.seg_ready(seg, 99, 1)
    assert.equal(C.ERR_INVALID, C.limit_open(seg, out))
  end)
end)

describe("shm/limit concurrency", function()
  local conns
  local slot = ffi.new("uint32_t[1]")

  before_each(function()
    conns = helper.open(C, 16384, "limit_conn", C.limit_conn_open, 4)
  end)

  local function take(key, max, worker)
    local code = C.limit_conn_take(conns, unit.str(key), max, worker or 0, slot)
    return code, slot[0]
  end

  local function count(key)
    return C.limit_conn_count(conns, unit.str(key))
  end

  it("counts holders up to the maximum over all workers", function()
    local code, first = take("ip", 2, 0)
    assert.equal(1, code)
    assert.equal(2, (take("ip", 2, 1)))
    assert.equal(C.ERR_LIMIT, (take("ip", 2, 2)))
    assert.equal(1, (take("other", 2, 2)))
    C.limit_conn_release(conns, first, 0)
    assert.equal(1, count("ip"))
    assert.equal(2, (take("ip", 2, 3)))
    assert.equal(C.ERR_LIMIT, (take("ip", 0, 3)))
  end)

  it("gives an entry back with its last holder", function()
    for _ = 1, 5000 do
      local code, ref = take("key" .. _, 1, 0)
      assert.equal(1, code)
      C.limit_conn_release(conns, ref, 0)
    end
    assert.equal(0, count("key1"))
  end)

  it("says when the table is full of keys in use", function()
    local n, code = 0
    repeat
      n = n + 1
      code = take("key" .. n, 1, 0)
    until code ~= 1
    assert.equal(C.ERR_MEM, code)
    assert.is_true(n > 100)
    assert.equal(2, (take("key1", 2, 1)))
  end)

  it("releases what a dead worker held, and nothing else", function()
    take("ip", 9, 1)
    take("ip", 9, 1)
    take("ip", 9, 2)
    take("only", 9, 1)
    C.limit_conn_forget_worker(conns, 1)
    assert.equal(1, count("ip"))
    assert.equal(0, count("only"))
  end)

  it("keeps exact counts when workers are killed at arbitrary instructions", function()
    local moment = helper.counter(C)
    take("k3", 100, 0)
    for round = 1, 30 do
      local pid = helper.child(function()
        local n = 0
        while true do
          n = n + 1
          local code, ref = take("k" .. n % 10, 100, 1)
          take("k" .. n % 7, 100, 1)
          if code > 0 then
            C.limit_conn_release(conns, ref, 1)
          end
          moment[0] = moment[0] + 1
        end
      end)
      helper.await(moment, tonumber(moment[0]) + 20 + round)
      helper.kill(pid)
      C.limit_conn_forget_worker(conns, 1)
      for i = 0, 9 do
        assert.equal(i == 3 and 1 or 0, count("k" .. i))
      end
    end
  end)
end)

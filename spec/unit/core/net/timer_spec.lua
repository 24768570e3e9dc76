local net = require("spec.unit.core.net.support")
local ffi, C = net.ffi, net.C

local fired = {}
local on_expire = net.callback("void (*)(timer *)", function()
  fired[#fired + 1] = true
end)

local kept = {}
local function new_timer()
  local t = ffi.new("timer")
  kept[#kept + 1] = t
  C.timer_init(t, on_expire)
  return t
end

local function timers(n)
  local v = ffi.new("timer[?]", n)
  kept[#kept + 1] = v
  for i = 0, n - 1 do
    C.timer_init(v[i], on_expire)
  end
  return v
end

describe("net/timer", function()
  local now = 1000000
  local loop

  local function advance(ms)
    now = now + ms
    C.clock_freeze(now, now)
    C.loop_turn(loop, 0)
  end

  before_each(function()
    now = now + 1000000
    C.clock_freeze(now, now)
    loop = loop or C.loop_new()
    C.loop_turn(loop, 0)
    fired = {}
  end)

  it("never fires early and at most one tick late within five seconds", function()
    for _, ms in ipairs({ 1, 9, 10, 11, 500, 4999 }) do
      local t = new_timer()
      fired = {}
      C.timer_set(loop, t, ms)
      advance(ms - 1)
      assert.equal(0, #fired, ms)
      advance(11)
      assert.equal(1, #fired, ms)
    end
  end)

  it("fires far deadlines late by their level's slot at most", function()
    for _, case in ipairs({ { 60000, 170 }, { 600000, 2600 }, { 7200000, 42000 } }) do
      local t = new_timer()
      fired = {}
      C.timer_set(loop, t, case[1])
      advance(case[1] - 1)
      assert.equal(0, #fired, case[1])
      advance(case[2])
      assert.equal(1, #fired, case[1])
    end
  end)

  it("keeps a deadline beyond the last level", function()
    local t = new_timer()
    local day = 24 * 3600 * 1000
    C.timer_set(loop, t, day)
    for _ = 1, 23 do
      advance(day / 24)
    end
    assert.equal(0, #fired)
    advance(day / 24 + 42000)
    assert.equal(1, #fired)
  end)

  it("moves on when it is set again to a later time", function()
    local t = new_timer()
    C.timer_set(loop, t, 100)
    advance(90)
    C.timer_set(loop, t, 100)
    advance(90)
    assert.equal(0, #fired)
    advance(20)
    assert.equal(1, #fired)
  end)

  it("moves back when it is set again to an earlier time", function()
    local t = new_timer()
    C.timer_set(loop, t, 3000)
    C.timer_set(loop, t, 50)
    advance(60)
    assert.equal(1, #fired)
    advance(4000)
    assert.equal(1, #fired)
  end)

  it("forgets a stopped or cleared deadline", function()
    local a, b = new_timer(), new_timer()
    C.timer_set(loop, a, 50)
    C.timer_set(loop, b, 50)
    C.timer_stop(a)
    b.deadline_ms = 0 -- timer_clear
    advance(100)
    assert.equal(0, #fired)
    C.timer_set(loop, b, 20)
    advance(40)
    assert.equal(1, #fired)
    C.timer_stop(b)
  end)

  it("fires after a long pause of the loop whatever the level", function()
    local v = timers(4)
    C.timer_set(loop, v[0], 10)
    C.timer_set(loop, v[1], 6000)
    C.timer_set(loop, v[2], 200000)
    C.timer_set(loop, v[3], 1000000)
    advance(2000000)
    assert.equal(4, #fired)
  end)

  it("keeps its resolution after a long time without timers", function()
    advance(3600000)
    local t = new_timer()
    C.timer_set(loop, t, 30)
    advance(29)
    assert.equal(0, #fired)
    advance(12)
    assert.equal(1, #fired)
  end)

  it("copes with a hundred thousand timers", function()
    local n = 100000
    local v = timers(n)
    for i = 0, n - 1 do
      C.timer_set(loop, v[i], 1 + i % 20000)
    end
    for i = 0, n - 1, 2 do
      C.timer_stop(v[i])
    end
    for _ = 1, 40 do
      advance(500)
    end
    advance(500)
    assert.equal(n / 2, #fired)
  end)

  it("lets a callback stop another timer that is due as well", function()
    local a, b = ffi.new("timer"), ffi.new("timer")
    local calls = 0
    C.timer_init(a, net.callback("void (*)(timer *)", function()
      calls = calls + 1
      C.timer_stop(b)
    end))
    C.timer_init(b, on_expire)
    C.timer_set(loop, a, 10)
    C.timer_set(loop, b, 10)
    advance(30)
    assert.equal(1, calls)
    assert.equal(0, #fired)
  end)
end)

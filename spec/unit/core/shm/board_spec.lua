local unit = require("spec.support.unit")
local helper = require("spec.unit.core.shm.helper")
local ffi = unit.ffi
local C = unit.use("base/err.h", "shm/seg.h", "shm/board.h")

describe("shm/board", function()
  local board

  before_each(function()
    board = helper.open(C, tonumber(C.board_bytes(3)) + 128, "board", function(seg, out)
      return C.board_open(seg, 3, out)
    end)
  end)

  --- What board_hook_enter does; inline functions have no symbol to call.
  local function enter(slot, name, generation, phase, now)
    C.board_policy_set(slot.hook.policy, unit.str(name))
    slot.hook.generation, slot.hook.phase, slot.hook.since_ms = generation, phase, now
    return slot.hook
  end

  it("claims slots until all are in use and frees them", function()
    assert.equal(0, C.board_claim(board, 5))
    assert.equal(1, C.board_claim(board, 5))
    assert.equal(2, C.board_claim(board, 5))
    assert.equal(C.ERR_LIMIT, C.board_claim(board, 5))
    local slot = C.board_slot_at(board, 1)
    assert.equal(C.BOARD_STARTING, slot.state)
    assert.equal(5, tonumber(slot.since_ms))
    slot.requests = 9
    C.board_free(board, 1)
    assert.equal(1, C.board_claim(board, 6))
    assert.equal(0, tonumber(slot.requests))
  end)

  it("shows a worker's figures to other processes", function()
    local index = C.board_claim(board, 5)
    assert.is_true(helper.join(helper.child(function()
      local slot = C.board_slot_at(board, index)
      slot.pid, slot.connections, slot.generation = 77, 12, 3
    end)))
    local slot = C.board_slot_at(board, index)
    assert.same({ 77, 12, 3 }, { slot.pid, slot.connections, tonumber(slot.generation) })
  end)

  it("finds a worker that has been in one hook for too long", function()
    local slot = C.board_slot_at(board, C.board_claim(board, 5))
    local out = ffi.new("board_hook")
    assert.is_false(C.board_hook_stuck(slot, 9000, 2000, out))
    enter(slot, "slow_policy", 4, 2, 7001)
    assert.is_false(C.board_hook_stuck(slot, 9000, 2000, out))
    assert.is_true(C.board_hook_stuck(slot, 9001, 2000, out))
    assert.equal("slow_policy", ffi.string(out.policy.name))
    assert.same({ 4, 2, 7001 }, { tonumber(out.generation), out.phase, tonumber(out.since_ms) })
    slot.hook.since_ms = 0
    assert.is_false(C.board_hook_stuck(slot, 99999, 2000, out))
  end)

  it("cuts long policy names and compares them cut", function()
    local name = ("n"):rep(60)
    local slot = C.board_slot_at(board, 0)
    C.board_quarantine_add(board, enter(slot, name, 1, 0, 1), 10)
    assert.is_true(C.board_is_quarantined(board, unit.str(name), 1))
    assert.is_false(C.board_is_quarantined(board, unit.str(("n"):rep(46)), 1))
  end)

  it("quarantines a policy in one generation and counts what it cost", function()
    local slot = C.board_slot_at(board, 0)
    local serial = C.board_quarantine_serial(board)
    local hook = enter(slot, "bad", 1, 2, 1)
    C.board_quarantine_add(board, hook, 10)
    C.board_quarantine_add(board, hook, 20)
    assert.are_not.equal(serial, C.board_quarantine_serial(board))
    assert.is_true(C.board_is_quarantined(board, unit.str("bad"), 1))
    assert.is_false(C.board_is_quarantined(board, unit.str("bad"), 2))
    assert.is_false(C.board_is_quarantined(board, unit.str("good"), 1))
    local list = ffi.new("board_quarantine[?]", C.BOARD_QUARANTINE_MAX)
    assert.equal(1, C.board_quarantine_list(board, list))
    assert.equal(2, list[0].kills)
    assert.equal(20, tonumber(list[0].since_ms))
  end)

  it("clears entries of older generations, or all", function()
    local slot = C.board_slot_at(board, 0)
    C.board_quarantine_add(board, enter(slot, "old", 1, 0, 1), 1)
    C.board_quarantine_add(board, enter(slot, "new", 2, 0, 1), 1)
    C.board_quarantine_clear(board, 2)
    assert.is_false(C.board_is_quarantined(board, unit.str("old"), 1))
    assert.is_true(C.board_is_quarantined(board, unit.str("new"), 2))
    C.board_quarantine_clear(board, 0xffffffffffffffffULL)
    assert.is_false(C.board_is_quarantined(board, unit.str("new"), 2))
  end)

  it("drops the oldest entry of a full quarantine", function()
    local slot = C.board_slot_at(board, 0)
    for i = 1, C.BOARD_QUARANTINE_MAX + 1 do
      C.board_quarantine_add(board, enter(slot, "p" .. i, 1, 0, 1), i)
    end
    assert.is_false(C.board_is_quarantined(board, unit.str("p1"), 1))
    assert.is_true(C.board_is_quarantined(board, unit.str("p2"), 1))
    assert.is_true(C.board_is_quarantined(board, unit.str("p65"), 1))
  end)
end)

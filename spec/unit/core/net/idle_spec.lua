local net = require("spec.unit.core.net.support")
local ffi, C, unit = net.ffi, net.C, net.unit
local loop = net.loop()

local function pool(max, timeout_ms)
  local p = ffi.new("idle_pool")
  C.idle_pool_init(p, max or 8, timeout_ms or 60000)
  return p
end

local function conn(freed)
  local fd, peer = net.pair()
  local c = C.idle_conn_new()
  assert(C.stream_open(c.s, loop, fd, nil, 0) == 0)
  if freed then
    c.owner_free = net.callback("void (*)(void *)", function() freed.n = freed.n + 1 end)
  end
  return c, peer
end

describe("net/idle", function()
  it("gives back the connection parked last", function()
    local p = pool()
    local a, b = conn(), conn()
    C.idle_park(loop, p, a)
    C.idle_park(loop, p, b)
    assert.equal(2, p.n)
    assert.is_true(C.idle_take(p) == b)
    assert.is_true(C.idle_take(p) == a)
    assert.is_true(C.idle_take(p) == nil)
    C.idle_conn_free(a)
    C.idle_conn_free(b)
  end)

  it("parks and takes again and again, and the connection still works", function()
    local p = pool()
    local c, peer = conn()
    for _ = 1, 3 do
      C.idle_park(loop, p, c)
      net.settle()
      assert.is_true(C.idle_take(p) == c)
      assert.equal(0, C.stream_send(c.s, unit.str("hi")))
      assert.equal("hi", peer:recv())
    end
    C.idle_conn_free(c)
  end)

  it("drops a connection the peer closes", function()
    local p, freed = pool(), { n = 0 }
    local c, peer = conn(freed)
    C.idle_park(loop, p, c)
    net.settle()
    peer:close()
    net.wait("the drop", function() return freed.n == 1 end)
    assert.equal(0, p.n)
    assert.is_true(C.idle_take(p) == nil)
  end)

  it("drops a connection the peer resets or writes to", function()
    for _, how in ipairs({ "reset", "send" }) do
      local p, freed = pool(), { n = 0 }
      local c, peer = conn(freed)
      C.idle_park(loop, p, c)
      net.settle()
      peer[how](peer, "stray")
      net.wait("the drop", function() return freed.n == 1 end)
      assert.equal(0, p.n)
    end
  end)

  it("does not hand out a connection whose end is known but not handled", function()
    local p, freed = pool(), { n = 0 }
    local c, peer = conn(freed)
    C.idle_park(loop, p, c)
    net.settle()
    peer:close()
    c.s.flags = bit.bor(c.s.flags, net.E.STREAM_READABLE) -- what the event sets before the watch runs
    assert.is_true(C.idle_take(p) == nil)
    assert.equal(1, freed.n)
  end)

  it("closes the oldest when the pool is full", function()
    local p, freed = pool(2), { n = 0 }
    local a, b, c = conn(freed), conn(), conn()
    C.idle_park(loop, p, a)
    C.idle_park(loop, p, b)
    C.idle_park(loop, p, c)
    assert.equal(1, freed.n)
    assert.equal(2, p.n)
    C.idle_pool_fini(p)
    assert.equal(0, p.n)
  end)

  it("does not park a connection with bytes pending either way", function()
    local p, freed = pool(), { n = 0 }
    local a, peer = conn(freed)
    peer:send("late")
    net.settle()
    C.idle_park(loop, p, a)
    assert.equal(1, freed.n)
    local b = conn(freed)
    C.bufq_push_static(b.s.out, unit.str("unsent"))
    C.idle_park(loop, p, b)
    assert.equal(2, freed.n)
    assert.equal(0, p.n)
  end)

  it("parks nothing in a pool of size zero", function()
    local p, freed = pool(0), { n = 0 }
    C.idle_park(loop, p, (conn(freed)))
    assert.equal(1, freed.n)
    net.settle()
  end)

  it("closes a connection that was idle too long, and not one in use", function()
    local p, freed = pool(8, 30), { n = 0 }
    local a, b = conn(freed), conn(freed)
    C.idle_park(loop, p, a)
    C.idle_park(loop, p, b)
    assert.is_true(C.idle_take(p) == b)
    net.wait("the age", function() return freed.n == 1 end)
    assert.equal(0, p.n)
    C.loop_turn(loop, 40)
    assert.equal(1, freed.n)
    C.idle_conn_free(b)
    assert.equal(2, freed.n)
  end)

  it("holds no buffer while parked", function()
    local p = pool()
    local c, peer = conn()
    net.settle()
    peer:send("answer")
    net.wait("data", function() return net.fill(c.s) > 0 end)
    net.consume_all(c.s)
    C.idle_park(loop, p, c)
    assert.equal(1, p.n)
    assert.is_true(c.s.in_mem == nil)
    assert.is_true(c.s.out.v == nil)
    C.idle_pool_fini(p)
  end)
end)

local back = require("spec.unit.core.back.support")
local C, ffi, unit = back.C, back.ffi, back.unit

local A, B, D = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"

local function near(expected, got, tolerance, what)
  assert.is_true(math.abs(expected - got) <= tolerance, ("%s: %d, expected %d"):format(what, got, expected))
end

local function hash(i)
  return C.hash_keyed(unit.str("key" .. i), 0, 0)
end
unit.use("base/hash.h")

describe("back/balance", function()
  it("round robin interleaves weights smoothly", function()
    local g = back.group({ balance = "round_robin", peers = { { address = A, weight = 5 }, B, D } })
    local order = {}
    for i = 1, 7 do
      order[i] = ({ [A] = "a", [B] = "b", [D] = "c" })[back.once(g)]
    end
    assert.equal("aabacaa", table.concat(order))
  end)

  it("round robin skips peers that were tried and ends with none", function()
    local g = back.group({ balance = "round_robin", peers = { A, B } })
    local a = back.pick(g)
    local b = back.pick(g, { tried = { a } })
    assert.not_equal(back.name(a), back.name(b))
    assert.is_nil(back.pick(g, { tried = { a, b } }))
  end)

  it("least in flight takes the idlest by weight and turns among equals", function()
    local g = back.group({ balance = "least_conn", peers = { { address = A, weight = 2 }, B } })
    local held, counts = {}, {}
    for i = 1, 6 do
      held[i] = back.pick(g)
      counts[back.name(held[i])] = (counts[back.name(held[i])] or 0) + 1
    end
    assert.same({ [A] = 4, [B] = 2 }, counts)
    local idle = back.group({ balance = "least_conn", peers = { A, B, D } })
    assert.same({ [A] = 10, [B] = 10, [D] = 10 }, back.count(idle, 30))
  end)

  it("two random choices keep the load close to even, also by weight", function()
    local g = back.group({ balance = "random_two", peers = { A, B, D, { address = "10.0.0.4:80", weight = 3 } } })
    local counts = {}
    for _ = 1, 600 do -- held: in-flight counts decide
      local name = back.name(back.pick(g))
      counts[name] = (counts[name] or 0) + 1
    end
    for _, address in ipairs({ A, B, D }) do
      near(100, counts[address], 12, address)
    end
    near(300, counts["10.0.0.4:80"], 12, "weight 3")
    near(2000, back.count(back.group({ balance = "random_two", peers = { A, B } }), 4000)[A], 250, "idle peers")
  end)

  it("two random choices always find the last live peer", function()
    local peers = {}
    for i = 1, 40 do
      peers[i] = { address = "10.0.1." .. i .. ":80", down = i ~= 23 }
    end
    local g = back.group({ balance = "random_two", peers = peers })
    assert.same({ ["10.0.1.23:80"] = 50 }, back.count(g, 50))
  end)

  it("hash sends a key to the same peer and spreads keys evenly", function()
    local g = back.group({ balance = "hash", hash_key = "$uri", peers = { A, B, D } })
    local again = back.group({ balance = "hash", hash_key = "$uri", peers = { D, A, B } })
    local counts = {}
    for i = 1, 3000 do
      local name = back.once(g, { hash = hash(i) })
      assert.equal(name, back.once(again, { hash = hash(i) }))
      counts[name] = (counts[name] or 0) + 1
    end
    for _, address in ipairs({ A, B, D }) do
      near(1000, counts[address], 120, address)
    end
  end)

  it("hash moves only the keys of a peer that goes", function()
    local all = back.group({ balance = "hash", hash_key = "$uri", peers = { A, B, D } })
    local two = back.group({ balance = "hash", hash_key = "$uri", peers = { A, D } })
    for i = 1, 1000 do
      local before, after = back.once(all, { hash = hash(i) }), back.once(two, { hash = hash(i) })
      assert.is_true(before == after or before == B)
    end
  end)

  it("hash gives each weight its share, and a second choice when the first was tried", function()
    local g = back.group({ balance = "hash", hash_key = "$uri", peers = { { address = A, weight = 3 }, B } })
    local counts = back.count(g, 4000, function(i)
      return { hash = hash(i) }
    end)
    near(3000, counts[A], 200, "weight 3")
    local first = back.pick(g, { hash = hash(1) })
    local second = back.pick(g, { hash = hash(1), tried = { first } })
    assert.is_truthy(second)
    assert.not_equal(back.name(first), back.name(second))
  end)

  it("backups take over when no primary is left, and only then", function()
    for _, balance in ipairs({ "round_robin", "least_conn", "random_two", "hash" }) do
      local g = back.group({ balance = balance, hash_key = "$uri", peers = { A, { address = B, backup = true } } })
      assert.same({ [A] = 20 }, back.count(g, 20))
      local a = back.pick(g)
      assert.equal(B, back.name(back.pick(g, { tried = { a } })))
    end
  end)

  it("never goes over max_conns", function()
    local g = back.group({ balance = "round_robin", peers = { { address = A, max_conns = 2 }, { address = B, max_conns = 1 } } })
    local held = { back.pick(g), back.pick(g), back.pick(g) }
    assert.equal(3, #held)
    assert.is_nil(back.pick(g))
    back.done(held[1])
    assert.is_truthy(back.pick(g))
  end)

  it("picks a peer by name for a hook", function()
    local g = back.group({ peers = { A, B } })
    assert.equal(B, back.name(C.group_pick_named(g, unit.str(B), 1000)))
    assert.is_true(C.group_pick_named(g, unit.str("10.9.9.9:80"), 1000) == ffi.NULL)
  end)
end)

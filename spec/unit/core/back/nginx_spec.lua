--- The rules of nginx's dialect: failures, turns, hashes; and groups made at run time.
local back = require("spec.unit.core.back.support")
local C, ffi, unit = back.C, back.ffi, back.unit
unit.use("back/dynamic.h")

local A, B, D = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"

local function group(peers, more)
  local g = { balance = "round_robin", passive = "nginx", passive_fails = 1, passive_window = 10000, peers = peers }
  for k, v in pairs(more or {}) do
    g[k] = v
  end
  return back.group(g)
end

local function order(g, n, options)
  local names = {}
  for i = 1, n do
    names[i] = (back.once(g, options) or "none"):match("%.(%d):") or "none"
  end
  return table.concat(names)
end

describe("nginx's rules of failures", function()
  it("rest a peer for fail_timeout after max_fails, then let it be tried", function()
    local g = group({ { address = A, fails = 2 }, B })
    for _ = 1, 2 do
      back.done(C.group_pick_named(g, unit.str(A), 1000), true, 1000)
    end
    assert.equal("22", order(g, 2, { now = 11000 }))
    assert.is_truthy(order(g, 4, { now = 11001 }):find("1"))
    assert.is_truthy(order(g, 4, { now = 11002 }):find("1"))
  end)

  it("leave nobody when all have failed, and never rest a single peer", function()
    local g = group({ A, B })
    back.done(C.group_pick_named(g, unit.str(A), 1000), true, 1000)
    back.done(C.group_pick_named(g, unit.str(B), 1000), true, 1000)
    assert.equal("none", order(g, 1, { now = 1500 }))
    local single = group({ A })
    back.done(C.group_pick_named(single, unit.str(A), 1000), true, 1000)
    assert.equal("1", order(single, 1, { now = 1000 }))
  end)
end)

describe("nginx's methods", function()
  it("take turns by weight as a a b a c a a", function()
    local g = group({ { address = A, weight = 5 }, B, D })
    assert.equal("1121311", order(g, 7))
  end)

  it("send a key where memcached's clients do, and elsewhere when that one is down", function()
    local g = group({ A, B, D }, { balance = "hash_mod" })
    local at = order(g, 1, { key = "some key" })
    assert.equal(at:rep(5), order(g, 5, { key = "some key" }))
    local peers = { A, B, D }
    peers[tonumber(at)] = { address = peers[tonumber(at)], down = true }
    local other = order(group(peers, { balance = "hash_mod" }), 1, { key = "some key" })
    assert.is_true(other ~= at and other ~= "none")
  end)

  it("move only the keys of a peer that leaves the ring", function()
    local whole = group({ A, B, D }, { balance = "hash_ring" })
    local less = group({ A, B }, { balance = "hash_ring" })
    for i = 1, 50 do
      local at = order(whole, 1, { key = "k" .. i })
      if at ~= "3" then
        assert.equal(at, order(less, 1, { key = "k" .. i }))
      end
    end
  end)

  it("keep the clients of an IPv4 /24 together", function()
    local g = group({ A, B, D }, { balance = "ip_hash" })
    local at = order(g, 1, { client = "192.0.2.1:1" })
    assert.equal(at, order(g, 1, { client = "192.0.2.200:9" }))
    local seen = {}
    for i = 1, 30 do
      seen[order(g, 1, { client = ("10.%d.7.1:1"):format(i) })] = true
    end
    assert.is_true(seen["1"] and seen["2"] and seen["3"])
  end)

  it("count max_conns exactly", function()
    local g = group({ { address = A, max_conns = 1 }, { address = B, max_conns = 1 } })
    local a, b = back.pick(g), back.pick(g)
    assert.is_truthy(a and b)
    assert.is_nil(back.pick(g))
    back.done(a)
    assert.is_truthy(back.pick(g))
  end)
end)

describe("groups made at run time", function()
  local function dynamic(set, like, address, port)
    local args, out = ffi.new("struct dynamic_args"), ffi.new("group *[1]")
    args.like, args.address, args.port, args.configured = like, unit.str(address), port or 0, true
    return C.group_set_dynamic(set, args, out), out[0]
  end

  it("are made once for an address, and found again", function()
    local set = back.set(nil)
    local like = back.apply(set, { { name = "like", peers = {} } })[1]
    local rc, g = dynamic(set, like, "10.0.0.9:81")
    assert.equal(0, rc)
    assert.equal("10.0.0.9:81", back.once(g))
    local _, again = dynamic(set, like, "10.0.0.9:81")
    assert.is_true(g == again)
    local _, other = dynamic(set, like, "10.0.0.9", 82)
    assert.equal("10.0.0.9:82", back.once(other))
  end)

  it("are the configured upstream when its name is said without a port", function()
    local set = back.set(nil)
    local groups = back.apply(set, { { name = "like", peers = {} }, { name = "app", peers = { A } } })
    local _, g = dynamic(set, groups[1], "app")
    assert.is_true(g == groups[2])
  end)

  it("refuse what is no address, and names that nobody can look up", function()
    local set = back.set(nil)
    local like = back.apply(set, { { name = "like", peers = {} } })[1]
    assert.equal(back.E.ERR_INVALID, (dynamic(set, like, "10.0.0.9")))
    assert.equal(back.E.ERR_INVALID, (dynamic(set, like, ":80")))
    assert.equal(back.E.ERR_INVALID, (dynamic(set, like, "a:b")))
    assert.equal(back.E.ERR_RESOLVE, (dynamic(set, like, "name.test:80")))
  end)

  it("are bounded: the one not used for longest goes", function()
    local set = back.set(nil)
    local like = back.apply(set, { { name = "like", peers = {} } })[1]
    local _, first = dynamic(set, like, "10.0.0.9:81")
    for i = 1, 1024 do
      local _, g = dynamic(set, like, "10.1.0.1", i)
      C.group_unref(g)
    end
    local _, again = dynamic(set, like, "10.0.0.9:81")
    assert.is_true(first ~= again)
    assert.equal("10.0.0.9:81", back.once(first)) -- its user still has it
  end)
end)

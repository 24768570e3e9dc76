local back = require("spec.unit.core.back.support")
local C = back.C

local A, B, D, F = "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"

--- Fails the peer with this address n times at `now`.
local function fail(g, address, n, now)
  for _ = 1, n do
    local p = C.group_pick_named(g, back.unit.str(address), now)
    back.done(p, true, now)
  end
end

--- The addresses that are chosen within some picks at `now`.
local function chosen(g, now)
  local names = {}
  for name in pairs(back.count(g, 60, function()
    return { now = now }
  end)) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function group(addresses, more)
  local g = { balance = "round_robin", passive_fails = 3, passive_window = 10000, peers = addresses }
  for k, v in pairs(more or {}) do
    g[k] = v
  end
  return back.group(g)
end

describe("back/peer", function()
  it("takes a peer out of rotation after as many failures as the window allows", function()
    local g = group({ A, B })
    fail(g, A, 2, 1000)
    assert.same({ A, B }, chosen(g, 1000))
    fail(g, A, 1, 1100)
    assert.same({ B }, chosen(g, 1200))
  end)

  it("forgets failures that are older than the window", function()
    local g = group({ A, B })
    fail(g, A, 2, 1000)
    fail(g, A, 2, 12000)
    assert.same({ A, B }, chosen(g, 12000))
  end)

  it("lets one trial through after the window, and readmits on success", function()
    local g = group({ A, B })
    fail(g, A, 3, 1000)
    assert.same({ B }, chosen(g, 10999))
    local trial
    for _ = 1, 3 do
      local p = back.pick(g, { now = 11000 })
      if back.name(p) == A then
        assert.is_nil(trial)
        trial = p
      else
        back.done(p, false, 11000)
      end
    end
    assert.is_truthy(trial)
    assert.same({ B }, chosen(g, 11500))
    back.done(trial, false, 11600)
    assert.same({ A, B }, chosen(g, 11700))
  end)

  it("keeps a peer out for another window when its trial fails", function()
    local g = group({ A, B })
    fail(g, A, 3, 1000)
    fail(g, A, 1, 11000) -- the trial
    assert.same({ B }, chosen(g, 20999))
    assert.same({ A, B }, chosen(g, 21000))
  end)

  it("never ejects more than the panic share", function()
    local g = group({ A, B, D, F })
    for _, address in ipairs({ A, B, D, F }) do
      fail(g, address, 5, 1000)
    end
    assert.same({ D, F }, chosen(g, 1500))
  end)

  it("never ejects the only peer", function()
    local g = group({ A }, { panic_percent = 100 })
    fail(g, A, 9, 1000)
    assert.same({ A }, chosen(g, 1000))
  end)

  it("ejects all primaries when backups stand in", function()
    local g = group({ A, B, { address = D, backup = true } })
    fail(g, A, 3, 1000)
    fail(g, B, 3, 1000)
    assert.same({ D }, chosen(g, 1500))
    assert.same({ A, B }, chosen(g, 11000)) -- their trials succeed
  end)

  it("honours a peer's own number of failures and window, 0 switching health off", function()
    local g = group({ { address = A, fails = 1, window = 500 }, { address = B, fails = 0 }, D })
    fail(g, A, 1, 1000)
    fail(g, B, 50, 1000)
    assert.same({ B, D }, chosen(g, 1499))
    assert.same({ A, B, D }, chosen(g, 1500))
  end)

  it("gives a failing peer fewer turns before it is out", function()
    local g = group({ { address = A, weight = 10 }, { address = B, weight = 10 } }, { passive_fails = 10 })
    fail(g, A, 9, 1000)
    local counts = back.count(g, 10, function()
      return { now = 1000 }
    end)
    assert.is_true(counts[B] > counts[A])
  end)

  it("counts what is in flight until the attempt is over, and lives while it is referred to", function()
    local set = back.set(nil)
    local g = back.apply(set, { { peers = { A, B } } })[1]
    local p = back.pick(g)
    assert.equal(1, back.in_flight(p))
    back.apply(set, { { peers = { back.name(p) == A and B or A } } })
    assert.is_true(p.gone)
    assert.equal(1, g.npeers)
    back.finish(p, true)
    assert.equal(0, back.in_flight(p))
    C.peer_unref(p)
  end)
end)

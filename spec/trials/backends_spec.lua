local backends = require("bench.trials.backends")
local run = require("spec.support.run")

describe("backends that come and go", function()
  it("cost clients nothing when they are checked and requests may be repeated", run(function()
    local r = backends.kills { kills = 5, rate = 100, clients = 8, workers = 2, pause = 0.15 }
    assert.same({}, backends.broken { kills = r })
  end))

  it("are drained, restarted and brought up by command without a failure, though nothing is repeated", run(function()
    local r = backends.rolls { rolls = 3, rate = 100, clients = 8, workers = 2 }
    assert.same({}, backends.broken { rolls = r })
  end))

  it("are found again when DNS fails and comes back", run(function()
    local r = backends.names { rate = 100, clients = 8, workers = 1, hold = 1.2 }
    assert.same({}, backends.broken { names = r })
    assert.is_true(r.queries > 2)
  end))
end)

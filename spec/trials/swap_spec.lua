local run = require("spec.support.run")
local swap = require("bench.trials.swap")

describe("policies swapped under load", function()
  it("cost no request, no tunnel and no byte of a download", run(function()
    local options = { swaps = 10, rate = 200, clients = 8, tunnels = 8, workers = 2, bytes = 200000, drip_rate = 80000 }
    assert.same({}, swap.broken(swap.run(options), options))
  end))
end)

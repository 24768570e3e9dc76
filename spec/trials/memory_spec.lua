local memory = require("bench.trials.memory")
local run = require("spec.support.run")

describe("swaps and broken policies", function()
  it("leave memory and descriptors as they were; what is broken changes nothing", run(function()
    local r = memory.run { first = 10, swaps = 25, broken = #memory.breakages, rate = 50 }
    assert.same({}, memory.broken(r, os.getenv("MG_ASAN") and 3 or 1.25))
  end))
end)

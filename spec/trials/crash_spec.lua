local crash = require("bench.trials.crash")
local run = require("spec.support.run")

describe("a worker that is killed", function()
  it("is replaced; only what it had in hand is lost; the workers end with their master", run(function()
    local r = crash.run { rounds = 2, workers = 2, rate = 100, clients = 8, before = 0.2, after = 0.2 }
    for _, round in ipairs(r.rounds) do
      assert.is_true(round.failed <= round.connections, "failures: " .. round.failed)
    end
    assert.equal(2, r.status.counters.worker_restarts)
    assert.equal(200, r.master.status)
    assert.is_true(r.master.refused)
  end))
end)

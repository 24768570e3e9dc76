--- examples/hotswap: swap.py itself, against the example's gateway.
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local examples = require("spec.examples.support")

describe("examples/hotswap", function()
  it("swaps a policy under load without a failure", run(function()
    local dir = examples.copy("hotswap")
    local gw = examples.gateway(dir, { PORT = "0" })
    local load = gateway.exec("", {
      binary = examples.program("python3"), name = "unused", seconds = 18,
      args = { dir .. "/swap.py", "--port", tostring(gw.port), "--swaps", "5", "--clients", "8" },
    })
    assert.equal(0, load.status, load:stdout() .. load:stderr())
    assert.is_truthy(load:stdout():find("5 swaps, 1 broken policy refused, %d+ requests .- 0 failures"), load:stdout())
    assert.is_truthy(gw:stderr():find("configuration rejected: generation 6 stays"))
  end))
end)

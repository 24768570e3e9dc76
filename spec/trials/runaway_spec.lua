local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local signal = require("posix.signal")
local runaway = require("bench.trials.runaway")

--- What the client gets, with on_error continue and deny.
local expected = {
  ["endless loop"] = { "200", "500" },
  ["endless loop in pcall"] = { "200", "500" },
  ["string that grows"] = { "200", "500" },
  ["deep recursion"] = { "200", "500" },
  ["returns a number"] = { "200", "500" },
  ["returns a table"] = { "200", "500" },
  ["CR LF in request header"] = { "200", "500" },
  ["CR LF in response header"] = { "200", "500" },
  ["CR LF in header of reply"] = { "200", "500" },
  ["error({})"] = { "200", "500" },
  ["yield"] = { "200", "500" },
  ["error in rewrite"] = { "200", "500" },
  ["error in access"] = { "200", "500" },
  ["error in balance"] = { "200", "500" },
  ["error in header"] = { "200", "500" },
  ["error in body"] = { "200", "200, cut" },
  ["error in log"] = { "200", "200" },
}

describe("a hook that misbehaves", function()
  it("costs its own request what on_error says, and its neighbours nothing", run(function()
    local cases = {}
    for _, case in ipairs(runaway.cases) do
      cases[#cases + 1] = expected[case.name] and case
    end
    local results, status, steady = runaway.run { workers = 2, cases = cases, rate = 40, settle = 0.02, watchdog = "15s",
      cpu = "60ms" }
    for i, r in ipairs(results) do
      local answer = expected[r.case.name][(i - 1) % 2 + 1]
      assert.equal(answer, r.answer:sub(1, #answer), r.case.name .. ", " .. r.mode)
      assert.equal(answer, r.again:sub(1, #answer), r.case.name .. ", " .. r.mode .. ", again")
      assert.is_true(#r.log > 0, r.case.name .. ": nothing was logged")
    end
    assert.equal(0, steady.failed)
    assert.equal(0, status.counters.worker_restarts)
  end))

  it("is judged alone by the watchdog, not with those before it in the same turn", run(function()
    local gw = gateway.start([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, scripts = { cpu = "200ms", watchdog = "700ms" } }
      site "*" { route "/*" { on = { access = function() while true do end end } } }
    ]])
    local worker, clients = ctl.workers(gw)[1], {}
    for i = 1, 6 do
      clients[i] = client.connect(gw.port, { timeout = 15 })
    end
    signal.kill(worker, signal.SIGSTOP) -- so that all six come in one turn
    for _, c in ipairs(clients) do
      c:request("GET", "/")
    end
    signal.kill(worker, signal.SIGCONT)
    for _, c in ipairs(clients) do
      assert.equal(500, c:response().status)
    end
    assert.equal(0, ctl.status(gw).counters.watchdog_kills)
  end))
end)

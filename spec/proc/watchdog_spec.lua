local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local wait = require("spec.support.wait")

--- A policy whose access hook hangs inside a C function (string.find with many captures backtracks for ages), where no
--- hook budget reaches.
local hang = [[
  local mg = require "moongate"
  local subject, pattern = ("a"):rep(40), (".-"):rep(14) .. "b"
  return mg.policy {
    name = "hang",
    doc = "Hangs on /hang.",
    options = mg.schema.record {},
    on_error = "deny",
    new = function()
      return {
        access = function(req)
          if req.path == "/hang" then
            string.find(subject, pattern)
          end
          return req:reply(200, "fine")
        end,
      }
    end,
  }
]]

local config = [[
  gateway { listen = "127.0.0.1:0", workers = 2, log = { access = false }, scripts = { watchdog = "400ms" } }
  site "*" { route "/*" { use = { policy "hang" {} } } }
]]

describe("the watchdog", function()
  it("ends a worker whose hook does not return, replaces it and quarantines the policy", run(function()
    local gw = gateway.start(config, { files = { ["policies/hang.lua"] = hang } })
    assert.equal("fine", client.get(gw.port, "/").body)
    local start = wait.now()
    local c = client.connect(gw.port)
    c:request("GET", "/hang")
    assert.is_true(c:is_closed(10))
    assert.is_true(wait.now() - start < run.scaled(3))
    gw:wait_log('is stuck in a hook for %d+ ms: policy "(hang)"')
    wait.till(function()
      return #ctl.workers(gw) == 2
    end, "the replacement")
    local status = ctl.status(gw)
    assert.equal(1, status.counters.watchdog_kills)
    assert.equal("hang", status.quarantine[1].policy)
    -- on_error = "deny" answers for it now, at once
    start = wait.now()
    assert.equal(500, client.get(gw.port, "/hang").status)
    assert.is_true(wait.now() - start < run.scaled(0.3))
  end))

  it("gives the policy another chance in the next generation", run(function()
    local gw = gateway.start(config, { files = { ["policies/hang.lua"] = hang } })
    local c = client.connect(gw.port)
    c:request("GET", "/hang")
    assert.is_true(c:is_closed(10))
    gw:wait_log("is stuck in a hook()")
    assert.equal(0, ctl.reload(gw, config .. "-- again").status)
    assert.same({}, ctl.status(gw).quarantine)
    assert.equal("fine", client.get(gw.port, "/").body)
  end))
end)

local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local wait = require("spec.support.wait")

describe("the quarantine of an inline hook", function()
  it("leaves the other inline hooks alone", run(function()
    local gw = gateway.start([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, scripts = { watchdog = "400ms" } }
      site "*" {
        route "/hang" { on = { access = function() return string.find(("a"):rep(40), (".-"):rep(14) .. "b") end } },
        route "/fine" { on = { access = function(req) return req:reply(200, "fine") end } },
      }
    ]])
    local c = client.connect(gw.port)
    c:request("GET", "/hang")
    assert.is_true(c:is_closed(10))
    gw:wait_log('is stuck in a hook for %d+ ms: policy "(inline gateway%.lua:3)"')
    wait.till(function()
      return #ctl.workers(gw) == 1
    end, "the replacement")
    assert.equal("fine", client.get(gw.port, "/fine").body)
    assert.equal(500, client.get(gw.port, "/hang").status)
  end))
end)

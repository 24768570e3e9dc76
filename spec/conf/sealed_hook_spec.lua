--- What an inline hook may not do any more, once the configuration has been read.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")

describe("an inline hook", function()
  it("cannot declare or read anything, and the log says so", run(function()
    local gw = gateway.start([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      local word = env("WORD", "made before")
      site "*" {
        route "/local" { on = { access = function(req) return req:reply(200, word) end } },
        route "/env"   { on = { access = function(req) return req:reply(200, env("WORD", "x")) end } },
        route "/site"  { on = { access = function(req) site "a" { reply = {} } return req:reply(200) end } },
        route "/set"   { on = { access = function(req) counter = 1 return req:reply(200) end } },
      }
    ]])
    assert.equal("made before", client.get(gw.port, "/local").body)
    for _, name in ipairs { "env", "site" } do
      local from = gw:mark()
      assert.equal(500, client.get(gw.port, "/" .. name).status)
      gw:wait_log("gateway%.lua:%d+: ('" .. name .. "' belongs to the configuration)", from)
    end
    assert.equal(500, client.get(gw.port, "/set").status)
    gw:wait_log("(assignment to global 'counter')")
  end))
end)

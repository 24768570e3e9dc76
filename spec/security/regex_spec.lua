--- A regex that a client drives into its limits decides nothing: the request is refused, not passed to a route that asks for less.
local client = require("spec.support.client")
local cqueues = require("cqueues")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")

describe("a regex that hits its limits", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    gw = start.proxy(o.port, [[
      route "~ ^/admin/(\\w+\\w*)+$" { reply = { status = 403, body = "guarded" } },
      route "/x/*" { when = { header = { ["X-Kind"] = "~ ^(a+)+$" } }, reply = { status = 403, body = "guarded" } },
      route "/*" { },
    ]])
  end))
  teardown(run.teardown)

  it("in a path refuses the request, soon", run(function()
    assert.equal(403, client.get(gw.port, "/admin/abc").status)
    local from = cqueues.monotime()
    assert.equal(503, client.get(gw.port, "/admin/" .. ("a"):rep(2000) .. "!").status)
    assert.is_true(cqueues.monotime() - from < run.scaled(2))
    assert.equal(0, #o.requests)
  end))

  it("in a matcher refuses it too", run(function()
    assert.equal(403, client.get(gw.port, "/x/1", { ["X-Kind"] = "aaa" }).status)
    assert.equal(503, client.get(gw.port, "/x/1", { ["X-Kind"] = ("a"):rep(2000) .. "!" }).status)
    assert.equal(0, #o.requests)
    assert.equal(200, client.get(gw.port, "/x/1").status)
  end))
end)

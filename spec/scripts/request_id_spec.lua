local test = require("moongate.test")

local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"

describe("request_id", function()
  local function both(options, sent)
    local x = test.policy("request_id", options):request { headers = { ["X-Request-Id"] = sent } }
    x:run("rewrite")
    x:respond(200, {})
    x:run("header")
    return x.request_headers["x-request-id"], x.headers["x-request-id"]
  end

  it("gives a fresh id to upstream and client", function()
    local up, down = both({})
    assert.truthy(up:match(UUID), up)
    assert.equal(up, down)
    assert.not_equal(up, (both({})))
  end)

  it("does not believe the client unless told to", function()
    assert.truthy(both({}, "mine"):match(UUID))
    assert.equal("mine-1", (both({ trust = true }, "mine-1")))
  end)

  it("replaces ids that are too long or hold odd bytes", function()
    assert.truthy(both({ trust = true }, ("x"):rep(129)):match(UUID))
    assert.truthy(both({ trust = true }, "a b"):match(UUID))
  end)

  it("keeps it from the client when told so", function()
    local up, down = both({ respond = false })
    assert.truthy(up)
    assert.is_nil(down)
  end)
end)

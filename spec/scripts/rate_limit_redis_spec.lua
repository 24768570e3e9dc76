--- rate_limit with its counters on a real Redis server.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local redis = require("spec.support.redis")
local run = require("spec.support.run")
local wait = require("spec.support.wait")

local function start(address, options, workers)
  return gateway.start(([[
    gateway { listen = "127.0.0.1:0", workers = %d, log = { access = false } }
    site "*" {
      use = { policy "rate_limit" { rate = "1/h", by = "$http_x_key", name = "r", redis = { address = "%s", timeout = "2s" }, %s } },
      route "/" { reply = { status = 200, body = "in\n" } },
    }
  ]]):format(workers or 1, address, options or ""))
end

local function ask(gw, key)
  return client.get(gw.port, "/", { ["X-Key"] = key })
end

describe("rate_limit on Redis", function()
  it("counts over gateways and workers, and answers 429 with Retry-After", run(function()
    local server = redis.start()
    local one, two = start(server.address, "burst = 2", 2), start(server.address, "burst = 2")
    local first = ask(one, "a")
    assert.equal(200, first.status)
    assert.equal("3", first.headers:get("RateLimit-Limit"))
    assert.equal("2", first.headers:get("RateLimit-Remaining"))
    assert.equal(200, ask(two, "a").status)
    assert.equal(200, ask(one, "a").status)
    local refused = ask(two, "a")
    assert.equal(429, refused.status)
    assert.equal("3600", refused.headers:get("Retry-After"))
    assert.equal(429, ask(one, "a").status)
    assert.equal(200, ask(one, "b").status)
  end))

  it("decides by its own counters while Redis is away, and uses Redis again when it is back", run(function()
    local server = redis.start()
    local gw = start(server.address, "burst = 1")
    assert.equal(200, ask(gw, "a").status)
    server:stop()
    assert.equal(200, ask(gw, "a").status) -- the gateway's own count of this key begins here
    assert.is_true(gw:stderr():find("counts for itself", 1, true) ~= nil)
    assert.equal(200, ask(gw, "a").status)
    assert.equal(429, ask(gw, "a").status)
    server:start_again()
    wait.till(function()
      ask(gw, "other")
      return gw:stderr():find("is back", 1, true)
    end, "Redis is used again", 10)
    assert.equal(200, ask(gw, "a").status) -- a fresh server has never seen it
  end))

  it("authenticates and uses its database", run(function()
    local server = redis.start { "--requirepass", "secret" }
    local gw = start(server.address)
    assert.equal(200, ask(gw, "a").status)
    assert.is_true(gw:stderr():find("NOAUTH", 1, true) ~= nil)
    gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" { route "/" { reply = { status = 200 }, use = { policy "rate_limit" {
        rate = "1/h", redis = { address = "%s", password = "secret", database = 3, timeout = "2s" } } } } }
    ]]):format(server.address))
    assert.equal(200, client.get(gw.port, "/").status)
    assert.equal(429, client.get(gw.port, "/").status)
    assert.is_nil(gw:stderr():find("counts for itself", 1, true))
  end))

  it("refuses an address that is none", run(function()
    local gw = gateway.exec([[
      gateway { listen = "127.0.0.1:0", workers = 1 }
      site "*" { route "/" { reply = { status = 200 }, use = { policy "rate_limit" { rate = "1/h", redis = { address = "a:b:c" } } } } }
    ]])
    assert.not_equal(0, gw.status)
    assert.is_true(gw:stderr():find("'a:b:c' is not an address", 1, true) ~= nil)
  end))
end)

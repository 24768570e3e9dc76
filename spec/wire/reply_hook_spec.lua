--- Body hooks on answers that are made in the gateway: the framing must follow what the hook made of the body.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")

describe("a body hook on a reply", function()
  local gw

  setup(run.setup(function()
    gw = gateway.start([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" {
        reply = { body = "abc" },
        route "/longer"  { on = { body = function(_, chunk) return chunk .. "defghi" end } },
        route "/shorter" { on = { body = function(_, chunk) return chunk:sub(1, 1) end } },
        route "/waits"   { on = { body = function(_, chunk) mg.sleep(0.01) return chunk:upper() .. "!" end } },
        route "/hook"    { on = { access = function(req) return req:reply(200, "abc") end, body = function() return "xy" end } },
        route "/nothing" { reply = { status = 200 }, on = { body = function() return "never asked" end } },
      }
    ]])
  end))
  teardown(run.teardown)

  it("may change its length, on a connection that goes on", run(function()
    local c = client.connect(gw.port)
    for _ = 1, 2 do
      assert.equal("abcdefghi", c:get("/longer").body)
      assert.equal("a", c:get("/shorter").body)
      assert.equal("ABC!", c:get("/waits").body)
      assert.equal("xy", c:get("/hook").body)
      local head = c:call("HEAD", "/longer")
      assert.equal(200, head.status)
      assert.equal("", c:get("/nothing").body)
    end
  end))
end)

describe("a long reply", function()
  it("is what it was, however slowly the client reads", run(function()
    local gw = gateway.start([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" {
        route "/a" { on = { access = function(req) return req:reply(200, ("a"):rep(6000000)) end } },
        route "/b" { on = { access = function(req) return req:reply(200, ("b"):rep(1000000)) end } },
      }
    ]])
    local slow, fast = client.connect(gw.port), client.connect(gw.port)
    slow:request("GET", "/a")
    assert.equal(200, slow:head().status)
    local left, wrong = 6000000, 0
    while left > 0 do -- what others ask in between takes the place of what is given back too early
      assert.equal(1000000, #fast:get("/b").body)
      local piece = slow:read(math.min(left, 200000))
      wrong, left = wrong + select(2, piece:gsub("[^a]", "")), left - #piece
    end
    assert.equal(0, wrong)
  end))
end)

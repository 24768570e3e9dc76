-- Tests of hello.lua in the real engine, without sockets and with a clock of their own. In examples/quickstart:
-- ../../build/moongate test scripts
local test = require "moongate.test"

describe("hello", function()
  it("allows what it says, then answers 429 until time has passed", function()
    local hello = test.policy("hello", { rate = "1/s", burst = 2 })
    for _ = 1, 3 do
      assert.equal("next", hello:run("access", { client_ip = "192.0.2.1" }).verdict)
    end
    assert.equal(429, hello:run("access", { client_ip = "192.0.2.1" }).status)
    assert.equal("next", hello:run("access", { client_ip = "192.0.2.2" }).verdict)
    test.advance(1)
    assert.equal("next", hello:run("access", { client_ip = "192.0.2.1" }).verdict)
  end)

  it("greets", function()
    local exchange = test.policy("hello"):request()
    exchange:respond(200, {})
    exchange:run("header")
    assert.equal("Moongate", exchange.headers["x-hello"])
  end)
end)

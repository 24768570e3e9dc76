--- examples/quickstart as the README tells it: ask, edit, ask again, break it, ask again.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local unistd = require("posix.unistd")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")
local examples = require("spec.examples.support")

describe("examples/quickstart", function()
  local gw, dir, policy

  setup(run.setup(function()
    dir = examples.copy("quickstart")
    policy = assert(tmp.read(dir .. "/scripts/hello.lua"))
    gw = examples.gateway(dir, { PORT = "0", DEMO_PORT = tostring(examples.free_port()) }, 2)
  end))
  teardown(run.teardown)

  local function greeting()
    return client.get(gw.port, "/").headers:get("X-Hello")
  end

  it("answers from the demo application, through the gateway and its policy", run(function()
    local res = client.get(gw.port, "/any/path")
    assert.equal(200, res.status)
    assert.equal("Hello from the demo application.\npath /any/path, asked for by 127.0.0.1\n", res.body)
    assert.equal("Moongate", res.headers:get("X-Hello"))
  end))

  it("swaps the policy when its file is saved, on open connections too", run(function()
    local c = client.connect(gw.port)
    assert.equal("Moongate", c:get("/").headers:get("X-Hello"))
    -- the rate goes with it: this spec asks faster than the example allows
    tmp.write(dir, "scripts/hello.lua", (policy:gsub('"Moongate"', '"edited"'):gsub("not allowed", "false")))
    wait.till(function()
      return c:get("/").headers:get("X-Hello") == "edited"
    end, "the edited policy")
    assert.equal("edited", greeting())
  end))

  it("refuses a broken policy with file, line and column, and goes on with the old one", run(function()
    local from = gw:mark()
    tmp.write(dir, "scripts/hello.lua", policy .. "\noops {\n")
    gw:wait_log("configuration rejected: (generation %d+ stays)", from)
    local text = gw:stderr():sub(from)
    assert.is_truthy(text:find("gateway%.lua:%d+:%d+: error: policy 'hello' cannot be loaded"), text)
    assert.is_truthy(text:find("hello%.lua:%d+: .-oops"), text)
    assert.equal("edited", greeting())
  end))

  it("limits one address once the file is as it was", run(function()
    tmp.write(dir, "scripts/hello.lua", policy)
    wait.till(function()
      return greeting() == "Moongate"
    end, "the original policy")
    local refused = wait.till(function()
      local res = client.get(gw.port, "/")
      return res.status == 429 and res
    end, "a refusal")
    assert.equal("slow down\n", refused.body)
    assert.equal("1", refused.headers:get("Retry-After"))
  end))

  it("brings a spec for its policy", run(function()
    local binary = gateway.binary():gsub("^[^/]", unistd.getcwd() .. "/%0")
    local test = gateway.exec("", {
      binary = "/bin/sh", name = "unused",
      args = { "-c", ("cd '%s' && exec '%s' test scripts"):format(examples.copy("quickstart"), binary) },
    })
    assert.equal(0, test.status, test:stdout() .. test:stderr())
    assert.is_truthy(test:stdout():find("2 successes / 0 failures / 0 errors", 1, true))
  end))
end)

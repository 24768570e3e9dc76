--- examples/hooks: each phase does what the file says.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local wait = require("spec.support.wait")
local json = require("cjson")
local examples = require("spec.examples.support")

describe("examples/hooks", function()
  local gw, one, two

  setup(run.setup(function()
    one = examples.service("app.js", "one")
    two = examples.service("app.js", "two")
    gw = examples.gateway(examples.copy("hooks"), {
      PORT = "0", ONE_PORT = tostring(one.port), TWO_PORT = tostring(two.port),
    })
  end))
  teardown(run.teardown)

  local function get(target, fields)
    local res = client.get(gw.port, target, fields)
    return res, res.status == 200 and json.decode(res.body) or nil
  end

  it("rewrite changes path, fields and upstream", run(function()
    local _, seen = get("/v1/items?x=1")
    assert.equal("/items?x=1", seen.url)
    assert.equal("1", seen.headers["x-api-version"])
    assert.equal("one", seen.service)
    assert.equal("two", select(2, get("/v1/items?beta=1")).service)
  end))

  it("access refuses, or counts in shared memory for the header hook", run(function()
    local res = get("/members")
    assert.equal(401, res.status)
    assert.equal("Bearer", res.headers:get("WWW-Authenticate"))
    assert.is_nil(res.headers:get("X-Visits"))
    local who = { Authorization = "Bearer x" }
    assert.equal("1", get("/members", who).headers:get("X-Visits"))
    assert.equal("2", get("/members", who).headers:get("X-Visits"))
    gw:reload()
    gw:wait_log("now generation (2)")
    assert.equal("3", get("/members", who).headers:get("X-Visits"))
  end))

  it("a hook that waits holds nobody else", run(function()
    local slow, quick = client.connect(gw.port), client.connect(gw.port)
    local began = wait.now()
    slow:request("GET", "/slow")
    assert.equal(200, quick:get("/").status)
    assert.equal(200, slow:response().status)
    assert.is_true(wait.now() - began >= 0.045)
  end))

  it("balance names the peer", run(function()
    for _ = 1, 4 do
      assert.equal("two", select(2, get("/pinned")).service)
    end
  end))

  it("body replaces each piece", run(function()
    local res = client.get(gw.port, "/shout")
    assert.is_truthy(res.body:find('"SERVICE":"ONE"', 1, true))
  end))

  it("log runs after the answer", run(function()
    local from = gw:mark()
    get("/logged")
    gw:wait_log("answered (/logged with 200)", from)
  end))
end)

describe("examples/hooks without a service", function()
  it("answers 502", run(function()
    local dead = tostring(origin.dead_port())
    local gw = examples.gateway(examples.copy("hooks"), { PORT = "0", ONE_PORT = dead, TWO_PORT = dead })
    assert.equal(502, client.get(gw.port, "/").status)
  end))
end)

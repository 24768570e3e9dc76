--- basic_auth, forward_auth and rate in the native dialect.
local client = require("spec.support.client")
local cqueues = require("cqueues")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")

describe("basic_auth", function()
  it("lets in who is in the file, and nobody is asked where it is off", run(function()
    local gw = start.proxy(origin.start().port, [[
      basic_auth = { realm = "team", users = "joe:{PLAIN}secret\n" },
      route "/open" { basic_auth = false }
    ]])
    local res = client.get(gw.port, "/")
    assert.equal(401, res.status)
    assert.equal('Basic realm="team"', res.headers:get("WWW-Authenticate"))
    assert.equal(200, client.get(gw.port, "/", { Authorization = "Basic am9lOnNlY3JldA==" }).status)
    assert.equal(401, client.get(gw.port, "/", { Authorization = "Basic am9lOnNlY3JldAA=" }).status)
    assert.equal(401, client.get(gw.port, "/", { Authorization = "Basic !" }).status)
    assert.equal(200, client.get(gw.port, "/open").status)
  end))
end)

describe("forward_auth", function()
  it("asks a path of the site first", run(function()
    local status = 200
    local o = origin.start(function(req)
      return req.path == "/session" and status or 200, nil, req.path
    end)
    local gw = start.proxy(o.port, 'forward_auth = "/session", route "/session" { forward_auth = false }')
    assert.equal("/x", client.get(gw.port, "/x").body)
    status = 403
    assert.equal(403, client.get(gw.port, "/x").status)
    status = 500
    assert.equal(500, client.get(gw.port, "/x").status)
  end))

  it("ends with its request", run(function()
    local gate = origin.gate()
    local o = origin.start(function(req, res)
      if req.path == "/session" then
        res:wait(gate)
      end
      return 200
    end)
    local gw = start.proxy(o.port, 'forward_auth = "/session", route "/session" { forward_auth = false }')
    local c = client.connect(gw.port)
    c:request("GET", "/x")
    require("spec.support.wait").till(function()
      return #o.requests == 1
    end, "the question")
    c:reset()
    gate:open()
    assert.equal(200, client.get(gw.port, "/session").status)
  end))
end)

describe("rate", function()
  it("is bytes a second to the client", run(function()
    local o = origin.start(function()
      return 200, nil, ("x"):rep(30000)
    end)
    local gw = start.proxy(o.port, 'rate = "16k"')
    local from = cqueues.monotime()
    assert.equal(30000, #client.get(gw.port, "/").body)
    assert.is_true(cqueues.monotime() - from > 0.5)
  end))
end)

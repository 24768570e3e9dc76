local test = require("moongate.test")

describe("headers", function()
  it("sets, adds and removes fields of the request", function()
    local r = test.policy("headers", {
      request = { set = { ["X-Ip"] = "ip $remote_addr" }, add = { ["X-Two"] = "b" }, remove = "Cookie" },
    }):run("access", { headers = { Cookie = "a=b", ["X-Two"] = "a" }, client_ip = "192.0.2.9" })
    assert.equal("ip 192.0.2.9", r.request_headers["x-ip"])
    assert.is_nil(r.request_headers.cookie)
    local n = 0
    for _, f in ipairs(r.request_headers) do
      n = n + (f[1] == "X-Two" and 1 or 0)
    end
    assert.equal(2, n)
  end)

  it("sets, adds and removes fields of the answer", function()
    local r = test.policy("headers", {
      response = { set = { ["X-A"] = "1" }, remove = { "X-Powered-By" } }, missing = { ["X-B"] = "2", ["X-C"] = "3" },
    }):run("header", { response = { headers = { ["X-Powered-By"] = "x", ["X-B"] = "own" } } })
    assert.equal("1", r.headers["x-a"])
    assert.is_nil(r.headers["x-powered-by"])
    assert.equal("own", r.headers["x-b"])
    assert.equal("3", r.headers["x-c"])
  end)

  it("protects with the security preset, HSTS over TLS only", function()
    local p = test.policy("headers", { preset = "security" })
    local r = p:run("header", { response = { headers = { ["X-Frame-Options"] = "DENY" } } })
    assert.equal("nosniff", r.headers["x-content-type-options"])
    assert.equal("DENY", r.headers["x-frame-options"])
    assert.equal("strict-origin-when-cross-origin", r.headers["referrer-policy"])
    assert.truthy(r.headers["permissions-policy"])
    assert.is_nil(r.headers["strict-transport-security"])
    assert.equal("max-age=31536000; includeSubDomains",
      p:run("header", { tls = true }).headers["strict-transport-security"])
  end)

  it("marks answers made here too", function()
    local answer = test.policy("headers", { preset = "security" }):fetch()
    assert.equal(502, answer.status)
    assert.equal("nosniff", answer.headers["x-content-type-options"])
  end)

  it("names mistakes", function()
    assert.equal("response.sett", test.errors("headers", { response = { sett = {} } })[1].path)
  end)
end)

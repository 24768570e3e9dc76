local test = require("moongate.test")
local mg = require("moongate")

describe("key_auth", function()
  local p
  setup(function()
    p = test.policy("key_auth", {
      keys = { shop = "k1", mobile = "sha256:" .. mg.digest("sha256", "k2") }, query = "key",
    })
  end)

  it("refuses requests without a key", function()
    local r = p:run("access")
    assert.equal(401, r.status)
    assert.equal('ApiKey realm="api"', r.headers["www-authenticate"])
  end)

  it("refuses an unknown key", function()
    assert.equal(401, p:run("access", { headers = { ["X-API-Key"] = "nope" } }).status)
    assert.equal(401, p:run("access", { headers = { ["X-API-Key"] = "" } }).status)
  end)

  it("lets known keys in, names the client, hides the key", function()
    local r = p:run("access", { headers = { ["X-API-Key"] = "k1" } })
    assert.equal("next", r.verdict)
    assert.equal("shop", r.request_headers["x-consumer"])
    assert.is_nil(r.request_headers["x-api-key"])
  end)

  it("takes keys that are stored as digests", function()
    assert.equal("mobile", p:run("access", { headers = { ["X-API-Key"] = "k2" } }).request_headers["x-consumer"])
  end)

  it("takes the key from the query and removes it there", function()
    local r = p:run("access", { path = "/x?a=1&key=k1&b=2" })
    assert.equal("next", r.verdict)
    assert.equal("a=1&b=2", r.query)
    assert.is_nil(p:run("access", { path = "/x?key=k1" }).query)
  end)

  it("lets nobody name himself", function()
    local r = p:run("access", { headers = { ["X-Consumer"] = "shop" } })
    assert.equal(401, r.status)
    assert.is_nil(r.request_headers["x-consumer"])
  end)

  it("can pass the key on", function()
    local q = test.policy("key_auth", { keys = { a = "k" }, hide = false, header = "Api" })
    assert.equal("k", q:run("access", { headers = { Api = "k" } }).request_headers.api)
  end)

  it("fails to start with bad or repeated keys", function()
    assert.has_error(function() test.policy("key_auth", { keys = { a = "k", b = "k" } }) end)
    assert.has_error(function() test.policy("key_auth", { keys = { a = "sha256:abcd" } }) end)
    assert.equal("keys.a", test.errors("key_auth", { keys = { a = 5 } })[1].path)
  end)
end)

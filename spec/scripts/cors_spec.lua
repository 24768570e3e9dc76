local test = require("moongate.test")

describe("cors", function()
  local p
  setup(function()
    p = test.policy("cors", {
      origins = { "https://app.example.com", "https://*.shop.example" }, methods = { "GET", "PUT" },
      expose = { "X-Total" }, credentials = true, max_age = "1h",
    })
  end)

  local function preflight(origin)
    return p:run("access", { method = "OPTIONS", headers = {
      Origin = origin, ["Access-Control-Request-Method"] = "PUT", ["Access-Control-Request-Headers"] = "x-a, x-b",
    } })
  end

  local function simple(policy, origin)
    local x = policy:request { headers = { Origin = origin } }
    x:run("access")
    x:respond(200, {})
    x:run("header")
    return x.headers
  end

  it("answers a preflight", function()
    local r = preflight("https://app.example.com")
    assert.equal(204, r.status)
    assert.equal("https://app.example.com", r.headers["access-control-allow-origin"])
    assert.equal("GET, PUT", r.headers["access-control-allow-methods"])
    assert.equal("x-a, x-b", r.headers["access-control-allow-headers"])
    assert.equal("true", r.headers["access-control-allow-credentials"])
    assert.equal("3600", r.headers["access-control-max-age"])
    assert.truthy(r.headers.vary:find("Origin", 1, true))
  end)

  it("does not answer for other origins", function()
    assert.equal("next", preflight("https://evil.example").verdict)
    assert.equal("next", preflight("https://app.example.com.evil.example").verdict)
    assert.equal("next", preflight("http://app.example.com").verdict)
  end)

  it("knows wildcards in host names", function()
    assert.equal(204, preflight("https://a.shop.example").status)
    assert.equal(204, preflight("https://a.b.shop.example").status)
    assert.equal("next", preflight("https://shop.example").verdict)
    assert.equal("next", preflight("https://a.shop.example.evil").verdict)
    assert.equal("next", preflight("https://evil/a.shop.example").verdict)
  end)

  it("marks answers", function()
    local h = simple(p, "https://app.example.com")
    assert.equal("https://app.example.com", h["access-control-allow-origin"])
    assert.equal("X-Total", h["access-control-expose-headers"])
    assert.equal("Origin", h.vary)
  end)

  it("says on every answer that it depends on the origin", function()
    local h = simple(p, "https://evil.example")
    assert.is_nil(h["access-control-allow-origin"])
    assert.equal("Origin", h.vary)
  end)

  it("allows all with *", function()
    local h = simple(test.policy("cors", { origins = "*" }), "https://any.example")
    assert.equal("*", h["access-control-allow-origin"])
    assert.is_nil(h.vary)
  end)

  it("refuses * together with credentials", function()
    assert.truthy(test.errors("cors", { origins = "*", credentials = true })[1].message:find("credentials", 1, true))
  end)
end)

local test = require("moongate.test")

describe("ip_allow", function()
  local function status(options, ip)
    return test.policy("ip_allow", options):run("access", { client_ip = ip }).status
  end

  it("lets in what allow names and nobody else", function()
    local o = { allow = { "10.0.0.0/8", "2001:db8::/32" } }
    assert.is_nil(status(o, "10.1.2.3"))
    assert.is_nil(status(o, "2001:db8::5"))
    assert.equal(403, status(o, "192.0.2.1"))
    assert.equal(403, status(o, "2001:db9::1"))
  end)

  it("refuses what deny names", function()
    local o = { deny = "192.0.2.0/24" }
    assert.equal(403, status(o, "192.0.2.200"))
    assert.is_nil(status(o, "192.0.3.1"))
  end)

  it("asks deny first", function()
    local o = { allow = "10.0.0.0/8", deny = "10.0.0.1", status = 404 }
    assert.equal(404, status(o, "10.0.0.1"))
    assert.is_nil(status(o, "10.0.0.2"))
  end)

  it("wants networks, and at least one list", function()
    assert.equal("allow[1]", test.errors("ip_allow", { allow = { "10.0.0.0/40" } })[1].path)
    assert.equal("needs allow or deny", test.errors("ip_allow", {})[1].message)
  end)
end)

local test = require("moongate.test")

describe("canary", function()
  local function share(p, n)
    local hits = 0
    for i = 1, n do
      local ip = ("10.0.%d.%d"):format(math.floor(i / 250), i % 250)
      if p:run("rewrite", { client_ip = ip }).upstream == "other" then
        hits = hits + 1
      end
    end
    return hits / n
  end

  it("sends about its share of the clients", function()
    local got = share(test.policy("canary", { percent = 20, to = "other" }), 1000)
    assert.is_true(got > 0.15 and got < 0.25, "share " .. got)
    assert.equal(0, share(test.policy("canary", { percent = 0, to = "other" }), 50))
    assert.equal(1, share(test.policy("canary", { percent = 100, to = "other" }), 50))
  end)

  it("keeps a client where it is", function()
    local p = test.policy("canary", { percent = 50, to = "other" })
    local first = p:run("rewrite", { client_ip = "192.0.2.77" }).upstream
    for _ = 1, 5 do
      assert.equal(first, p:run("rewrite", { client_ip = "192.0.2.77" }).upstream)
    end
  end)

  it("follows a header or cookie", function()
    local p = test.policy("canary", { percent = 0, to = "other", header = "X-Canary", cookie = "canary" })
    assert.equal("other", p:run("rewrite", { headers = { ["X-Canary"] = "1" } }).upstream)
    assert.equal("other", p:run("rewrite", { headers = { Cookie = "canary=1" } }).upstream)
    assert.equal("origin", p:run("rewrite").upstream)
    p = test.policy("canary", { percent = 100, to = "other", header = "X-Canary" })
    assert.equal("origin", p:run("rewrite", { headers = { ["X-Canary"] = "0" } }).upstream)
  end)

  it("counts by a template, and by address where that is empty", function()
    local p = test.policy("canary", { percent = 50, to = "other", by = "$cookie_uid" })
    local a = p:run("rewrite", { headers = { Cookie = "uid=1" }, client_ip = "192.0.2.1" }).upstream
    local b = p:run("rewrite", { headers = { Cookie = "uid=1" }, client_ip = "192.0.2.2" }).upstream
    assert.equal(a, b)
    assert.truthy(p:run("rewrite").upstream)
  end)

  it("wants an upstream that exists", function()
    local errors = test.errors("canary", { percent = 101, to = "nobody" })
    assert.equal("percent", errors[1].path)
    assert.equal("must be a number from 0 to 100, got number 101", errors[1].message)
    assert.truthy(errors[2].message:find("there is no upstream of that name", 1, true))
  end)
end)

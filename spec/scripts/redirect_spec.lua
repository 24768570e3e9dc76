local test = require("moongate.test")

describe("redirect", function()
  local function location(options, path)
    local r = test.policy("redirect", options):run("rewrite", { path = path })
    return r.headers and r.headers.location, r.status, r.verdict
  end

  it("sends everything to a template", function()
    local to, status = location({ to = "https://$host$request_uri" }, "/a?b=c")
    assert.equal("https://example.com/a?b=c", to)
    assert.equal(301, status)
  end)

  it("sends what matches, with captures and the query", function()
    local o = { match = "^/old/(?<what>[^/]+)/(.*)$", to = "/new/${what}/$2", status = 308 }
    local to, status = location(o, "/old/x%20y/z?q=1")
    assert.equal("/new/x%20y/z?q=1", to)
    assert.equal(308, status)
    local none, _, verdict = location(o, "/other")
    assert.is_nil(none)
    assert.equal("next", verdict)
  end)

  it("drops the query when told so, and joins it to one that is there", function()
    assert.equal("/b", location({ match = "^/a$", to = "/b", query = false }, "/a?x=1"))
    assert.equal("/b?y=2&x=1", location({ match = "^/a$", to = "/b?y=2" }, "/a?x=1"))
  end)

  it("cannot be led to another host by a captured slash", function()
    assert.equal("/evil.example", (location({ match = "^/go(/.*)$", to = "/$1" }, "/go/evil.example")))
  end)

  it("cannot be split by a captured line break", function()
    local to = location({ match = "(?s)^/a/(.*)$", to = "/b/$1" }, "/a/x%0d%0aSet-Cookie:%20a=b")
    assert.is_nil(to:find("[\r\n]"))
  end)

  it("wants a redirect's status and a regular expression that compiles", function()
    assert.equal("status", test.errors("redirect", { to = "/", status = 200 })[1].path)
    assert.equal("match", test.errors("redirect", { to = "/", match = "(" })[1].path)
  end)
end)

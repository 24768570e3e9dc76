--- Who may pass, in the native dialect: addresses, `satisfy`, client certificates; and `mirror`.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")
local wait = require("spec.support.wait")

describe("access", function()
  it("is decided by the first rule that holds", run(function()
    local gw = start.proxy(origin.start().port, [[
      access = { "deny 127.0.0.2", "allow 127.0.0.0/8", "deny all" },
      route "/nobody" { access = { "deny all" } },
      route "/open" { access = false },
    ]])
    assert.equal(200, client.get(gw.port, "/").status)
    assert.equal(403, client.get(gw.port, "/nobody").status)
    assert.equal(200, client.get(gw.port, "/open").status)
  end))

  it("may be enough beside a password", run(function()
    local gw = start.proxy(origin.start().port, [[
      basic_auth = { users = "joe:{PLAIN}secret\n" }, satisfy = "any",
      route "/in"  { access = { "allow 127.0.0.0/8", "deny all" } },
      route "/out" { access = { "deny all" } },
      route "/both" { access = { "allow all" }, satisfy = "all" },
    ]])
    local joe = { Authorization = "Basic am9lOnNlY3JldA==" }
    assert.equal(200, client.get(gw.port, "/in").status)
    assert.equal(401, client.get(gw.port, "/out").status)
    assert.equal(200, client.get(gw.port, "/out", joe).status)
    assert.equal(401, client.get(gw.port, "/both").status)
    assert.equal(200, client.get(gw.port, "/both", joe).status)
  end))
end)

describe("mirror", function()
  it("sends copies, with the body or without", run(function()
    local seen = {}
    local o = origin.start(function(req)
      seen[req.path] = req.body or ""
      return 200, nil, "answer"
    end)
    local gw = start.proxy(o.port, [[
      route "/a" { mirror = "/copy" },
      route "/b" { mirror = { "/copy", "/more", body = false } },
    ]])
    assert.equal("answer", client.call(gw.port, "POST", "/a", nil, "hello").body)
    wait.till(function()
      return seen["/copy"]
    end, "the copy")
    assert.equal("hello", seen["/copy"])
    seen = {}
    assert.equal("answer", client.call(gw.port, "POST", "/b", nil, "hello").body)
    wait.till(function()
      return seen["/copy"] and seen["/more"]
    end, "the copies")
    assert.same({ ["/b"] = "hello", ["/copy"] = "", ["/more"] = "" }, seen)
  end))
end)

describe("tls.client", function()
  local a, b, me = certs.make("a.example"), certs.make("b.example"), certs.make("client")

  local function get(gw, name, more, host)
    local tls = { name = name }
    for key, value in pairs(more or {}) do
      tls[key] = value
    end
    return client.connect(gw.port, { tls = tls }):get("/", { Host = host or name })
  end

  it("asks for certificates site by site, and says what they say", run(function()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0 tls", workers = 1, log = { access = false } }
      local function answer(name, tls)
        return site(name) {
          tls = tls, reply = { body = "$ssl_client_verify|$ssl_client_s_dn|$ssl_protocol" },
        }
      end
      answer("a.example", { cert = "%s", key = "%s" })
      answer("b.example", { cert = "%s", key = "%s", protocols = "TLSv1.2", client = { ca = "%s" } })
      answer("o.example", { cert = "%s", key = "%s", client = { ca = "%s", verify = "optional" } })
      answer("n.example", { cert = "%s", key = "%s", client = { verify = "any", depth = 2 }, curves = { "X25519" } })
    ]]):format(a.cert, a.key, b.cert, b.key, me.cert, b.cert, b.key, a.cert, b.cert, b.key))
    assert.equal("NONE||TLSv1.3", get(gw, "a.example").body)
    local res = get(gw, "b.example")
    assert.equal(400, res.status)
    assert.matches("400 Client Certificate Required", res.body, 1, true)
    assert.equal("SUCCESS|CN=client|TLSv1.2", get(gw, "b.example", me).body)
    assert.equal("NONE||TLSv1.3", get(gw, "o.example").body)
    assert.equal(400, get(gw, "o.example", me).status)
    assert.matches("^FAILED:", get(gw, "n.example", me).body)
    assert.equal(421, get(gw, "a.example", nil, "b.example").status)
  end))

  it("may have a page for those who come without", run(function()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0 tls", workers = 1, log = { access = false } }
      site "b.example" {
        tls = { cert = "%s", key = "%s", client = { ca = "%s" } }, reply = { body = "in" },
        errors = { [496] = { body = "show a certificate" } },
      }
    ]]):format(b.cert, b.key, me.cert))
    local res = get(gw, "b.example")
    assert.same({ 400, "show a certificate" }, { res.status, res.body })
    assert.equal("in", get(gw, "b.example", me).body)
  end))

  it("needs authorities to judge by", run(function()
    local gw = gateway.exec(('site "b.example" { tls = { cert = "%s", key = "%s", client = { verify = "on" } }, reply = {} }'):format(
      b.cert, b.key), { args = { "check", "{conf}" } })
    assert.equal(1, gw.status)
    assert.matches("1:%d+: error: client certificates are judged by authorities, and there are none", gw:stderr())
  end))
end)

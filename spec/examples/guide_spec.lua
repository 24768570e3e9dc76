--- examples/guide: every heading of the reverse-proxy guide that this build has, with real services behind it.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local run = require("spec.support.run")
local wait = require("spec.support.wait")
local ws = require("spec.support.ws")
local json = require("cjson")
local examples = require("spec.examples.support")

describe("examples/guide", function()
  local gw, node, python, java, first, second, spare
  local https = { tls = { name = "app.example.com" } }
  local host = { Host = "app.example.com" }

  setup(run.setup(function()
    node, python = examples.service("app.js", "node"), examples.service("app.py", "python")
    java = examples.service("app.js", "java") -- any HTTP service: the gateway cannot tell
    first, second, spare = examples.service("app.js", "first"), examples.service("app.js", "second"), examples.service("app.js", "spare")
    local env = { PORT = "0", TLS_PORT = tostring(examples.free_port()), EDGE = "127.0.0.2", CERTS = certs.make("app.example.com").dir }
    for name, service in pairs {
      NODE = node, PYTHON = python, JAVA = java, BACKEND1 = first, BACKEND2 = second, BACKEND3 = spare,
    } do
      env[name] = tostring(service.port)
    end
    gw = examples.gateway(examples.copy("guide"), env, 2)
  end))
  teardown(run.teardown)

  local function get(target, fields, options)
    local res = client.get(gw.ports[2], target, fields or host, options or https)
    local ok, seen = pcall(json.decode, res.body)
    return res, ok and seen or {}
  end

  it("terminates TLS and sends the forwarded headers", run(function()
    local res, seen = get("/")
    assert.equal(200, res.status)
    assert.equal("node", seen.service)
    assert.equal("https", seen.headers["x-forwarded-proto"])
    assert.equal("127.0.0.1", seen.headers["x-forwarded-for"])
    assert.equal("127.0.0.1", seen.headers["x-real-ip"])
    assert.equal("app.example.com", seen.headers["x-forwarded-host"])
    assert.equal(301, client.get(gw.ports[1], "/", host).status)
  end))

  it("sends the security headers, on errors too", run(function()
    local c = client.connect(gw.ports[2], https)
    c:request("POST", "/", { Host = "app.example.com", ["Content-Length"] = "1000000000" })
    local refused = c:response()
    assert.equal(413, refused.status)
    for _, res in ipairs { (get("/")), refused } do
      for _, name in ipairs { "Strict-Transport-Security", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy",
        "Permissions-Policy", "Content-Security-Policy" } do
        assert.is_truthy(res.headers:get(name), name .. " on " .. res.status)
      end
    end
  end))

  it("maps prefixes to several backends", run(function()
    local _, seen = get("/api/users/1")
    assert.same({ "python", "/users/1" }, { seen.service, seen.url })
    _, seen = get("/search/q?x=1")
    assert.same({ "java", "/q?x=1" }, { seen.service, seen.url })
  end))

  it("keeps connections to the backends", run(function()
    local c = client.connect(gw.ports[2], https)
    local connection = json.decode(c:get("/", host).body).connection
    for _ = 1, 20 do
      assert.equal(connection, json.decode(c:get("/", host).body).connection)
    end
  end))

  it("believes no address from outside of the CDN", run(function()
    local _, seen = get("/", { Host = "app.example.com", ["X-Forwarded-For"] = "198.51.100.7" })
    assert.equal("127.0.0.1", seen.headers["x-real-ip"])
    assert.equal("127.0.0.1", seen.headers["x-forwarded-for"])
  end))

  it("passes events at once", run(function()
    local c = client.connect(gw.ports[2], https)
    c:request("GET", "/events", host)
    assert.equal(200, c:head().status)
    local text = ""
    repeat
      text = text .. assert(c:some())
    until text:find("data: %a+ 2\n")
  end))

  it("takes long uploads on their route only", run(function()
    local body = ("x"):rep(11 * 1024 * 1024)
    local res = client.call(gw.ports[2], "POST", "/upload", host, body, https)
    assert.equal(#body, json.decode(res.body).bytes)
    local c = client.connect(gw.ports[2], https)
    c:request("POST", "/elsewhere", { Host = "app.example.com", ["Content-Length"] = tostring(#body) })
    assert.equal(413, c:response().status)
  end))

  it("balances, avoids a backend that died, and uses the spare when all did", run(function()
    local function who()
      local _, seen = get("/balanced")
      return seen.service
    end
    local seen = {}
    for _ = 1, 10 do
      seen[who() or "?"] = true
    end
    assert.same({ first = true, second = true }, seen)
    first:stop("TERM")
    for _ = 1, 6 do
      assert.equal("second", who()) -- the failed attempts were retried, then the peer is out
    end
    second:stop("TERM")
    wait.till(function()
      return who() == "spare"
    end, "the spare")
  end))

  it("limits logins", run(function()
    local statuses = {}
    for i = 1, 13 do
      statuses[i] = get("/login").status
    end
    assert.equal(200, statuses[1])
    assert.equal(429, statuses[13])
  end))

  it("carries WebSockets", run(function() -- last: a tunnel that its client left half open still counts in least_conn
    local w = ws.connect(gw.ports[2], "/ws/x", host, https)
    w:send("hello")
    local kind, back = w:receive()
    assert.same({ "text", "hello" }, { kind, back })
  end))
end)

describe("examples/guide behind a CDN", function()
  it("restores the client's address", run(function()
    local node = examples.service("app.js", "node")
    local gw = examples.gateway(examples.copy("guide"), {
      PORT = "0", TLS_PORT = tostring(examples.free_port()), CERTS = certs.make("app.example.com").dir,
      NODE = tostring(node.port), EDGE = "127.0.0.1",
    }, 2)
    local fields = { Host = "app.example.com", ["X-Forwarded-For"] = "198.51.100.7" }
    local res = client.get(gw.ports[2], "/", fields, { tls = { name = "app.example.com" } })
    local seen = json.decode(res.body)
    assert.equal("198.51.100.7", seen.headers["x-real-ip"])
    assert.equal("198.51.100.7, 127.0.0.1", seen.headers["x-forwarded-for"])
  end))
end)

describe("examples/guide without its certificate", function()
  it("does not start, and says which file is missing", run(function()
    local env = { PORT = "0", TLS_PORT = tostring(examples.free_port()), CERTS = "/nonexistent" }
    local ok, err = pcall(examples.gateway, examples.copy("guide"), env)
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("gateway%.lua:%d+:%d+: error: cannot read '/nonexistent/fullchain%.pem'"), tostring(err))
  end))
end)

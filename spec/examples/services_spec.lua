--- examples/services with its Node and Python services as real processes.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local run = require("spec.support.run")
local wait = require("spec.support.wait")
local ws = require("spec.support.ws")
local json = require("cjson")
local examples = require("spec.examples.support")

describe("examples/services", function()
  local gw, node, python
  local https = { tls = { name = "app.example.com" } }

  setup(run.setup(function()
    node = examples.service("app.js", "node")
    python = examples.service("app.py", "python")
    gw = examples.gateway(examples.copy("services"), {
      PORT = "0", TLS_PORT = tostring(examples.free_port()), NODE_PORT = tostring(node.port), PYTHON_PORT = tostring(python.port),
      CERTS = certs.make("app.example.com").dir,
    }, 2)
  end))
  teardown(run.teardown)

  local host = { Host = "app.example.com" }

  local function get(target, fields)
    return client.get(gw.ports[2], target, fields or host, https)
  end

  it("redirects plain HTTP to HTTPS", run(function()
    local res = client.get(gw.ports[1], "/x?y=1", host)
    assert.equal(301, res.status)
    assert.is_truthy(res.headers:get("Location"):find("^https://app%.example%.com.*/x%?y=1$"))
  end))

  it("serves the Node service over TLS with forwarded headers", run(function()
    local res = get("/hello?a=b", { Host = "app.example.com", ["X-Forwarded-For"] = "203.0.113.9" })
    assert.equal(200, res.status)
    local seen = json.decode(res.body)
    assert.equal("node", seen.service)
    assert.equal("/hello?a=b", seen.url)
    assert.equal("app.example.com", seen.headers.host)
    assert.equal("127.0.0.1", seen.headers["x-real-ip"])
    assert.equal("127.0.0.1", seen.headers["x-forwarded-for"]) -- the forged one is gone
    assert.equal("https", seen.headers["x-forwarded-proto"])
    assert.equal("app.example.com", seen.headers["x-forwarded-host"])
    assert.equal("nosniff", res.headers:get("X-Content-Type-Options"))
    assert.equal("max-age=31536000; includeSubDomains", res.headers:get("Strict-Transport-Security"))
  end))

  it("strips the prefix on the way to the Python service", run(function()
    local res = client.call(gw.ports[2], "POST", "/api/items?n=1", host, '{"a":1}', https)
    local seen = json.decode(res.body)
    assert.equal("python", seen.service)
    assert.equal("/items?n=1", seen.url)
    assert.equal('{"a":1}', seen.body)
    assert.equal("POST", seen.method)
  end))

  it("passes events as they come", run(function()
    local c = client.connect(gw.ports[2], https)
    c:request("GET", "/api/events", host)
    assert.equal("text/event-stream", c:head().headers:get("Content-Type"))
    local text, began = "", wait.now()
    repeat
      text = text .. assert(c:some())
    until text:find("data: python 3\n", 1, true)
    assert.is_true(wait.now() - began < run.scaled(2))
  end))

  it("echoes WebSocket messages of every frame size", run(function()
    local w = ws.connect(gw.ports[2], "/ws/echo", host, https)
    for _, payload in ipairs { "hello", ("x"):rep(300), ("y"):rep(70000) } do
      assert(w:send(payload))
      local kind, back = w:receive()
      assert.equal("text", kind)
      assert.is_true(payload == back)
    end
    w:send("\3\232", "close") -- 1000
    assert.equal("close", (w:receive()))
  end))

  it("keeps a WebSocket and an event stream over a reload", run(function()
    local w = ws.connect(gw.ports[2], "/ws/echo", host, https)
    local events = client.connect(gw.ports[2], https)
    events:request("GET", "/api/events", host)
    assert.equal(200, events:head().status)
    local from = gw:mark()
    gw:reload()
    local generation = gw:wait_log("now generation (%d+)", from)
    w:send("still there?")
    local _, back = w:receive()
    assert.equal("still there?", back)
    for _ = 1, 3 do
      assert.is_truthy(events:some())
    end
    assert.equal("2", generation)
  end))

  it("passes an upload whole", run(function()
    local body = ("0123456789"):rep(100000)
    local res = client.call(gw.ports[2], "PUT", "/upload", host, body, https)
    assert.equal(#body, json.decode(res.body).bytes)
    local digest = require("openssl.digest").new("sha256"):final(body):gsub(".", function(c)
      return ("%02x"):format(c:byte())
    end)
    assert.equal(digest, json.decode(res.body).sha256)
  end))

  it("answers 502 with its security headers when a service is gone", run(function()
    assert.equal(0, python:stop("TERM"))
    local res = get("/api/items")
    assert.equal(502, res.status)
    assert.equal("nosniff", res.headers:get("X-Content-Type-Options"))
    assert.equal(200, get("/").status)
  end))
end)

--- examples/nginx: a configuration in nginx syntax, as it is but for its ports, in front of the Node service.
local client = require("spec.support.client")
local examples = require("spec.examples.support")
local json = require("cjson")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local ws = require("spec.support.ws")

describe("examples/nginx", function()
  local gw, node
  local host = { Host = "app.example.com" }

  setup(run.setup(function()
    node = examples.service("app.js", "node")
    gw = examples.nginx("nginx", {
      ["listen 8080"] = "listen 127.0.0.1:0", ["127.0.0.1:3000"] = "127.0.0.1:" .. node.port,
      ["/tmp/moongate-example.pid"] = tmp.dir() .. "/pid", ["worker_processes auto"] = "worker_processes 1",
      ["/dev/stdout"] = tmp.dir() .. "/log",
    })
  end))
  teardown(run.teardown)

  it("forwards with the fields it names, and compresses", run(function()
    local res = client.get(gw.port, "/hello?a=b", host)
    local seen = json.decode(res.body)
    assert.equal("/hello?a=b", seen.url)
    assert.equal("127.0.0.1", seen.headers["x-forwarded-for"])
    assert.equal("http", seen.headers["x-forwarded-proto"])
    assert.equal("nosniff", res.headers:get("X-Content-Type-Options"))
    assert.equal("nginx", res.headers:get("Server")) -- server_tokens off
    local packed = client.get(gw.port, "/hello?" .. ("x"):rep(300), { Host = "app.example.com", ["Accept-Encoding"] = "gzip" })
    assert.equal("gzip", packed.headers:get("Content-Encoding"))
  end))

  it("keeps connections to the service", run(function()
    local first = json.decode(client.get(gw.port, "/", host).body).connection
    assert.equal(first, json.decode(client.get(gw.port, "/", host).body).connection)
  end))

  it("passes WebSocket", run(function()
    local c = ws.connect(gw.port, "/ws", host)
    c:send("hello")
    local kind, payload = c:receive()
    assert.same({ "text", "hello" }, { kind, payload })
  end))

  it("answers by itself, and limits what it says", run(function()
    assert.equal("ok\n", client.get(gw.port, "/health", host).body)
    local statuses = {}
    for i = 1, 4 do
      statuses[i] = client.get(gw.port, "/login", host).status
    end
    assert.same({ 200, 200, 200, 429 }, statuses)
  end))
end)

--- `moongate explain`, as a user runs it.
local gateway = require("spec.support.gateway")
local tmp = require("spec.support.tmp")

local function explain(name, config, words)
  local file = tmp.write(tmp.dir(), name, config)
  local pipe = assert(io.popen(("%s explain %s -c %s 2>&1"):format(gateway.binary(), words, file)))
  local out = pipe:read("*a")
  pipe:close()
  return (out:gsub("%s+\n", "\n"))
end

local NATIVE = [[
gateway { listen = "127.0.0.1:8080", timeouts = { read = "20s" } }
local api = upstream "api" { "127.0.0.1:8000" }
site "app.example.com" {
  body_limit = "1m",
  route "/" { proxy = "127.0.0.1:3000" },
  route "/api/*" { proxy = api, strip_prefix = true, timeouts = { connect = "1s" } },
  route "/post" { proxy = api, methods = { "POST" } },
}
]]

describe("moongate explain", function()
  it("knows routes with limits, in both dialects", function()
    local nginx = explain("nginx.conf", [[
events {} http { limit_req_zone $binary_remote_addr zone=login:1m rate=5r/m; limit_conn_zone $server_name zone=all:1m;
server { listen 127.0.0.1:8080; location / { limit_req zone=login burst=3; limit_conn all 9; proxy_pass http://127.0.0.1:3000; } } }
]], "http://127.0.0.1:8080/x")
    assert.is_truthy(nginx:find("\npeer      127.0.0.1:3000", 1, true), nginx)
    local native = explain("gateway.lua", [[
gateway { listen = "127.0.0.1:8080" }
site "*" { proxy = "127.0.0.1:3000", use = { policy "rate_limit" { rate = "5/m" }, policy "conn_limit" { most = 3 } } }
]], "http://127.0.0.1:8080/x")
    assert.is_truthy(native:find("\npeer      127.0.0.1:3000", 1, true), native)
  end)

  it("knows named and internal routes, and addresses that requests make", function()
    local out = explain("gateway.lua", [[
gateway { listen = "127.0.0.1:8080", vars = { tenant = { map = "$host", default = "x" } } }
site "*" {
  errors = { [404] = { body = "no" }, [502] = "@late" },
  proxy = "http://$tenant.internal",
  route "/private/*" { internal = true, reply = {} },
  route "@late" { reply = {} },
}
]], "http://127.0.0.1:8080/private/x")
    assert.is_truthy(out:find("/private/*               for internal redirects only (gateway.lua:5)", 1, true), out)
    assert.is_truthy(out:find("@late                    only reached by name", 1, true), out)
    assert.is_truthy(out:find("upstream  http://$tenant.internal, of each request", 1, true), out)
    assert.is_nil(out:find("@ page", 1, true))
  end)

  it("says site, route, what lost and why, settings with their place, request and peer", function()
    assert.equal([[
GET       http://app.example.com:8080/api/users?x=1 from 127.0.0.1
site      app.example.com
route     /api/*  gateway.lua:6
lost      /                        less specific (gateway.lua:5)
          /post                    another path (gateway.lua:7)
settings  strip_prefix true                  gateway.lua:6
          timeouts.connect "1s"              gateway.lua:6
          body_limit "1m"                    gateway.lua:4
          timeouts.read "20s"                gateway.lua:1
upstream  api
peer      127.0.0.1:8000, as a worker that has just started would choose
request   GET /users?x=1 HTTP/1.1
          Host: app.example.com:8080
          X-Real-IP: 127.0.0.1
          X-Forwarded-For: 127.0.0.1
          X-Forwarded-Proto: http
          X-Forwarded-Host: app.example.com:8080
          Accept: text/html
]], explain("gateway.lua", NATIVE, "'http://app.example.com:8080/api/users?x=1' -H 'Accept: text/html'"))
  end)

  it("names methods and unknown hosts", function()
    local out = explain("gateway.lua", NATIVE, "GET http://app.example.com:8080/post")
    assert.is_truthy(out:find("/post +not for GET %(gateway.lua:7%)"), out)
    out = explain("gateway.lua", NATIVE, "http://other.example:8080/")
    assert.is_truthy(out:find("site +none answers for this host here"), out)
  end)

  it("knows nginx's order of locations", function()
    local out = explain("nginx.conf", [[
events {}
http {
  upstream app { server 127.0.0.1:3000; }
  server {
    listen 127.0.0.1:8080;
    server_name app.example.com;
    location /api/ { proxy_pass http://app/; proxy_set_header Host $host; }
    location ~ \.json$ { return 404; }
    location ^~ /api/static/ { proxy_pass http://app; }
  }
}
]], "http://app.example.com:8080/api/x.json")
    assert.is_truthy(out:find("route +~ \\.json%$  nginx.conf:8"), out)
    assert.is_truthy(out:find("/api/ +an expression goes before a prefix without ^~ (nginx.conf:7)", 1, true)
      or out:find("/api/ +an expression goes before a prefix"), out)
    assert.is_truthy(out:find("answer +404, made here"), out)
  end)

  it("says what it wants", function()
    assert.is_truthy(explain("gateway.lua", NATIVE, ""):find("^usage: moongate explain"))
    assert.is_truthy(explain("gateway.lua", NATIVE, "nowhere"):find("is not a URL", 1, true))
  end)
end)

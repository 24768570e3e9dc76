--- grpc_pass and its kin in nginx syntax.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local grpc = require("spec.support.grpc")
local h2_origin = require("spec.support.h2_origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")

local ask = grpc.ask

describe("grpc_pass", function()
  it("passes calls, streams, statuses and deadlines", run(function()
    local o = grpc.serve()
    local gw = start(([[
      upstream calls { server 127.0.0.1:%d; keepalive 2; }
      server { listen 127.0.0.1:0; http2 on; location / { grpc_pass grpc://calls; } }
    ]]):format(o.port))
    assert.equal("echo:hi yes 1", ask(gw.port, "unary"))
    assert.equal("FAILED_PRECONDITION not now", ask(gw.port, "fail"))
    assert.equal("b:0\nb:1\nb:2\nb:3\n0", ask(gw.port, "both"))
    assert.is_truthy(ask(gw.port, "deadline"):find("^DEADLINE_EXCEEDED"))
  end))

  local function behind(gates)
    local cert = certs.make("up.example")
    local text = ([[
      upstream group { server 127.0.0.1:1; server unix:{sock}; }
      server { listen 127.0.0.1:0; %s }
      server { listen unix:{sock}; http2 on;
        location / { add_header X-A a; add_header X-B b; return 200 "$http_host $http_x_set|$scheme"; } }
      server { listen unix:{sock}s ssl; http2 on; ssl_certificate %s; ssl_certificate_key %s; ssl_verify_client optional_no_ca;
        location / { return 200 "$http_host $scheme $ssl_server_name $ssl_client_s_dn"; } }
    ]]):format(gates, cert.cert, cert.key):gsub("{sock}", cert.dir .. "/s"):gsub("{cert}", cert.cert):gsub("{key}", cert.key)
    return start(text)
  end

  it("speaks HTTP/2 to addresses and groups, with fields of its own", run(function()
    local gw = behind [[
      location /a { grpc_pass unix:{sock}; grpc_set_header X-Set set; grpc_hide_header X-A; }
      location /b { grpc_pass grpc://group; grpc_set_header Host other; }
      location /c { grpc_pass $arg_to; }
      location /d { grpc_pass grpc://unix:{sock}:; grpc_connect_timeout 1s; }
    ]]
    local res = client.get(gw.port, "/a")
    assert.equal("localhost set|http", res.body)
    assert.is_nil(res.headers:get("X-A"))
    assert.equal("b", res.headers:get("X-B"))
    assert.equal("other |http", client.get(gw.port, "/b").body)
    assert.equal("group |http", client.get(gw.port, "/c?to=grpc://group").body)
    assert.equal("group |http", client.get(gw.port, "/c?to=group").body)
    assert.equal(500, client.get(gw.port, "/c?to=http://group").status)
    assert.equal("localhost |http", client.get(gw.port, "/d").body)
  end))

  it("speaks TLS as grpc_ssl says", run(function()
    local gw = behind [[
      grpc_ssl_trusted_certificate {cert}; grpc_ssl_server_name on;
      location /a { grpc_pass grpcs://unix:{sock}s; grpc_ssl_verify on; grpc_ssl_name up.example;
        grpc_ssl_certificate {cert}; grpc_ssl_certificate_key {key}; }
      location /b { grpc_pass grpcs://unix:{sock}s; grpc_ssl_verify on; grpc_ssl_name down.example; }
    ]]
    assert.equal("localhost https up.example CN=up.example", client.get(gw.port, "/a").body)
    assert.equal(502, client.get(gw.port, "/b").status)
  end))

  it("asks another server when a stream is reset instead of answered, where invalid_header is listed", run(function()
    local o = h2_origin.start()
    local text = ([[
      upstream u { server 127.0.0.1:%d max_fails=0; server unix:{sock}; }
      server { listen 127.0.0.1:0;
        location / { grpc_pass u; grpc_next_upstream invalid_header; }
        location /error/ { grpc_pass u; grpc_next_upstream error; rewrite ^/error(.*)$ $1 break; } }
      server { listen unix:{sock}; http2 on; location / { return 200 other; } }
    ]]):format(o.port):gsub("{sock}", require("spec.support.tmp").dir() .. "/s")
    local gw = start(text)
    for _ = 1, 4 do
      assert.equal("other", client.get(gw.port, "/reset").body)
    end
    local statuses = {}
    for _ = 1, 4 do
      statuses[client.get(gw.port, "/error/reset").status] = true
    end
    assert.same({ [200] = true, [502] = true }, statuses)
  end))

  it("is refused when it makes no sense", run(function()
    local function refused(text)
      local done = gateway.exec("events {}\nhttp { server { listen 127.0.0.1:0; location / { " .. text .. " } } }\n",
        { name = "nginx.conf", args = { "-t", "-c", "{conf}", "-e", "stderr" } })
      assert.equal(1, done.status)
      return done:stderr()
    end
    assert.matches("invalid URL prefix", refused("grpc_pass http://a;"), 1, true)
    assert.matches("no host in upstream", refused("grpc_pass grpc://;"), 1, true)
    assert.matches("invalid host in upstream", refused("grpc_pass grpc://127.0.0.1/x;"), 1, true)
    assert.matches("invalid port in upstream", refused("grpc_pass 127.0.0.1:99999;"), 1, true)
    assert.matches("no grpc_ssl_trusted_certificate for grpc_ssl_verify", refused("grpc_pass grpcs://127.0.0.1; grpc_ssl_verify on;"),
      1, true)
  end))
end)

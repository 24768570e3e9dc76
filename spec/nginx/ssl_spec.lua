--- TLS of servers in nginx syntax: a server's own certificate, protocols, clients.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local start = require("spec.nginx.start")

local function server(name, cert, rest)
  return ([[server { listen 127.0.0.1:0 ssl; server_name %s; ssl_certificate %s; ssl_certificate_key %s; %s
    location / { stub_status; } }
  ]]):format(name, cert.cert, cert.key, rest or "")
end

describe("servers of one port", function()
  local a, b, me = certs.make("a.example"), certs.make("b.example"), certs.make("client")
  local gw

  setup(run.setup(function()
    gw = start('add_header X "$ssl_client_verify|$ssl_client_s_dn|$ssl_session_reused|$ssl_protocol|$ssl_server_name" always;\n'
      .. server("a.example", a)
      .. server("b.example", b, ("ssl_verify_client on; ssl_client_certificate %s; ssl_protocols TLSv1.2;"):format(me.cert))
      .. server("o.example", b, ("ssl_verify_client optional; ssl_client_certificate %s;"):format(a.cert))
      .. server("n.example", b, "ssl_verify_client optional_no_ca;")
      .. "server { listen 127.0.0.1:0 ssl; server_name r.example; ssl_reject_handshake on; }", { listeners = 1 })
  end))
  teardown(run.teardown)

  local function get(name, more, host)
    local tls = { name = name }
    for key, value in pairs(more or {}) do
      tls[key] = value
    end
    local c = client.connect(gw.port, { tls = tls, may_fail = true })
    return c and c:get("/", { Host = host or name })
  end

  it("have their certificates and protocols", run(function()
    assert.equal("NONE||.|TLSv1.3|a.example", get("a.example").headers:get("X"))
    assert.equal(200, get("unknown.example").status) -- the default one's
  end))

  it("ask for client certificates as each of them says", run(function()
    local res = get("b.example")
    assert.equal(400, res.status)
    assert.matches("No required SSL certificate was sent", res.body, 1, true)
    assert.equal("SUCCESS|CN=client|.|TLSv1.2|b.example", get("b.example", me).headers:get("X"))
    assert.equal("NONE||.|TLSv1.3|o.example", get("o.example").headers:get("X"))
    res = get("o.example", me)
    assert.equal(400, res.status)
    assert.matches("The SSL certificate error", res.body, 1, true)
    assert.matches("^FAILED:", get("n.example", me).headers:get("X"))
  end))

  it("cannot be reached through another's handshake", run(function()
    assert.equal(421, get("a.example", nil, "b.example").status)
    assert.equal(200, get("b.example", me, "a.example").status) -- which asks for nothing
  end))

  it("may refuse the handshake", run(function()
    assert.is_falsy(pcall(get, "r.example") and get("r.example"))
  end))

  it("answer plain HTTP", run(function()
    local res = client.get(gw.port, "/")
    assert.equal(400, res.status)
    assert.matches("The plain HTTP request was sent to HTTPS port", res.body, 1, true)
  end))
end)

describe("the configuration of TLS", function()
  local a = certs.make("a.example")

  local function refused(text)
    local done = gateway.exec("events {}\nhttp { server { listen 127.0.0.1:0 ssl; " .. text .. " } }\n",
      { name = "nginx.conf", args = { "-t", "-c", "{conf}", "-e", "stderr" } })
    assert.equal(1, done.status)
    return done:stderr()
  end

  it("warns of what would make it stricter and does not", run(function()
    local done = gateway.exec(("events {}\nhttp { ssl_ocsp leaf; server { listen 127.0.0.1:0 ssl; ssl_certificate %s; "
      .. "ssl_certificate_key %s; } }\n"):format(a.cert, a.key), { name = "nginx.conf", args = { "-t", "-c", "{conf}", "-e", "stderr" } })
    assert.equal(0, done.status)
    assert.matches('[warn] "ssl_ocsp" is not supported', done:stderr(), 1, true)
  end))

  it("is refused when something is missing or wrong", run(function()
    local pair = ("ssl_certificate %s; ssl_certificate_key %s; "):format(a.cert, a.key)
    assert.matches('no "ssl_certificate" is defined', refused(""), 1, true)
    assert.matches('no "ssl_certificate_key" is defined', refused(("ssl_certificate %s;"):format(a.cert)), 1, true)
    assert.matches("no ssl_client_certificate for ssl_verify_client", refused(pair .. "ssl_verify_client on;"), 1, true)
    assert.matches('invalid value "TLSv9"', refused(pair .. "ssl_protocols TLSv9;"), 1, true)
    assert.matches("cannot load certificate", refused("ssl_certificate /nowhere.pem; ssl_certificate_key /nowhere.key;"), 1, true)
    assert.matches('session cache "shared:x:1k" is too small', refused(pair .. "ssl_session_cache shared:x:1k;"), 1, true)
  end))
end)

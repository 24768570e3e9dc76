--- Certificates whose names have variables: chosen at the handshake, towards clients and towards upstreams.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local start = require("spec.nginx.start")
local tmp = require("spec.support.tmp")

local made = { certs.make("one.example"), certs.make("two.example"), certs.make("three.example") }

local function put(dir, name, pair)
  os.execute(("cp %s '%s/%s.crt.new' && mv '%s/%s.crt.new' '%s/%s.crt'"):format(pair.cert, dir, name, dir, name, dir, name))
  os.execute(("cp %s '%s/%s.key.new' && mv '%s/%s.key.new' '%s/%s.key'"):format(pair.key, dir, name, dir, name, dir, name))
end

local function subject(port, name)
  local c = client.connect(port, { tls = { name = name }, may_fail = true })
  local x = c and c:tls():getPeerCertificate()
  return x and tostring(x:getSubject()):match("CN=([%w.]+)")
end

local function pem(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

describe("a certificate that the handshake chooses", function()
  local dir

  before_each(function()
    dir = tmp.dir()
    put(dir, "a", made[1])
    put(dir, "b", made[2])
  end)

  local function gate(more, maps)
    return start((maps or "") .. ([[
      map $ssl_server_name $known { default a; b.example b; }
      geo $from { default a; 203.0.113.0/24 b; }
      server { listen 127.0.0.1:0 ssl; server_name _; location / { return 200 "$ssl_server_name $ssl_session_reused"; } %s }
    ]]):format(more))
  end

  it("depends on the name, or on anything else that is known then", run(function()
    local gw = gate(("ssl_certificate %s/$known.crt; ssl_certificate_key %s/$known.key;"):format(dir, dir))
    assert.equal("one.example", subject(gw.port, "a.example"))
    assert.equal("two.example", subject(gw.port, "b.example"))
    assert.equal("one.example", subject(gw.port))
    assert.equal("b.example .", client.connect(gw.port, { tls = { name = "b.example" } }):get("/").body)
    gw:stop()
    gw = gate(("ssl_certificate %s/$from.crt; ssl_certificate_key %s/$from.key;"):format(dir, dir))
    assert.equal("one.example", subject(gw.port, "b.example"))
  end))

  it("is looked for at every handshake, and the handshake fails without one", run(function()
    local gw = gate(("ssl_certificate %s/$known.crt; ssl_certificate_key %s/$known.key;"):format(dir, dir))
    put(dir, "b", made[3])
    assert.equal("three.example", subject(gw.port, "b.example"))
    os.remove(dir .. "/b.key")
    assert.is_nil(subject(gw.port, "b.example"))
    gw:wait_log("cannot load certificate key \".*/b.key\": No such file or directory")
    assert.equal("one.example", subject(gw.port, "a.example"))
  end))

  it("may be the text itself", run(function()
    local gw = gate("ssl_certificate data:$pem; ssl_certificate_key data:$key;", ([[
      map $ssl_server_name $pem { default "%s"; b.example ""; }
      map $ssl_server_name $key { default "%s"; }
    ]]):format(pem(made[1].cert), pem(made[1].key)))
    assert.equal("one.example", subject(gw.port, "a.example"))
    assert.is_nil(subject(gw.port, "b.example"))
  end))

  it("is kept for a while when asked to", run(function()
    local gw = gate(([[ssl_certificate %s/$ssl_server_name.crt; ssl_certificate_key %s/$ssl_server_name.key;
      ssl_certificate_cache max=2 valid=1h;]]):format(dir, dir))
    assert.equal("one.example", subject(gw.port, "a"))
    put(dir, "a", made[3])
    assert.equal("one.example", subject(gw.port, "a"))
    assert.equal("two.example", subject(gw.port, "b")) -- takes the places
    assert.equal("three.example", subject(gw.port, "a"))
  end))

  it("is looked at again when it was kept long enough", run(function()
    local gw = gate(([[ssl_certificate %s/$ssl_server_name.crt; ssl_certificate_key %s/$ssl_server_name.key;
      ssl_certificate_cache max=9 valid=0;]]):format(dir, dir))
    assert.equal("one.example", subject(gw.port, "a"))
    put(dir, "a", made[3])
    assert.equal("three.example", subject(gw.port, "a"))
  end))

  it("needs its variables to be known", run(function()
    local done = gateway.exec("events {}\nhttp { server { listen 127.0.0.1:0 ssl; ssl_certificate $nothing.crt;"
      .. "ssl_certificate_key $nothing.key; } }\n", { name = "nginx.conf", args = { "-t", "-c", "{conf}", "-e", "stderr" } })
    assert.equal(1, done.status)
    assert.matches("nothing", done:stderr(), 1, true)
  end))
end)

describe("the client certificate that a request chooses", function()
  it("is kept like the others; without one there is no attempt", run(function()
    local dir = tmp.dir()
    put(dir, "a", made[1])
    put(dir, "b", made[2])
    local gw = start(([[
      server { listen 127.0.0.1:0; location / {
        proxy_pass https://unix:%s/up.sock:/; proxy_ssl_session_reuse off;
        proxy_ssl_certificate %s/$arg_c.crt; proxy_ssl_certificate_key %s/$arg_c.key; proxy_ssl_certificate_cache max=2 valid=1h;
      } }
      server { listen unix:%s/up.sock ssl; ssl_certificate %s; ssl_certificate_key %s; ssl_verify_client optional_no_ca;
        location / { return 200 $ssl_client_s_dn; } }
    ]]):format(dir, dir, dir, dir, made[1].cert, made[1].key))
    assert.equal("CN=one.example", client.get(gw.port, "/?c=a").body)
    put(dir, "a", made[3])
    assert.equal("CN=one.example", client.get(gw.port, "/?c=a").body)
    assert.equal("CN=two.example", client.get(gw.port, "/?c=b").body)
    assert.equal("CN=three.example", client.get(gw.port, "/?c=a").body)
    assert.equal(500, client.get(gw.port, "/?c=none").status)
  end))
end)

describe("commands of a server's TLS", function()
  it("count after the directives, certificates too", run(function()
    local gw = start(([[
      server { listen 127.0.0.1:0 ssl; ssl_certificate %s; ssl_certificate_key store:file:%s;
        ssl_conf_command Certificate %s; ssl_conf_command PrivateKey %s;
        ssl_conf_command Options -SessionTicket; ssl_conf_command Protocol -TLSv1.3;
        location / { return 200 $ssl_protocol; } }
    ]]):format(made[1].cert, made[1].key, made[2].cert, made[2].key))
    assert.equal("two.example", subject(gw.port, "a.example"))
    assert.equal("TLSv1.2", client.connect(gw.port, { tls = true }):get("/").body)
  end))
end)

describe("keys of session tickets", function()
  local function resumed(from, to)
    local cert = made[1]
    local out = assert(io.popen(("openssl s_client -connect 127.0.0.1:%d -tls1_2 -sess_out %s/session </dev/null 2>/dev/null; "
      .. "openssl s_client -connect 127.0.0.1:%d -tls1_2 -sess_in %s/session </dev/null 2>/dev/null"):format(from, cert.dir, to, cert.dir)))
    local text = out:read("*a")
    out:close()
    return text:find("Reused, TLSv1.2", 1, true) ~= nil
  end

  it("that are files are the same for all who have them", run(function()
    local dir = tmp.dir()
    local long, short = tmp.write(dir, "long", ("k"):rep(80)), tmp.write(dir, "short", ("s"):rep(48))
    local function server(keys)
      return start(("server { listen 127.0.0.1:0 ssl; ssl_certificate %s; ssl_certificate_key %s; ssl_session_cache shared:a:1m; %s }")
        :format(made[1].cert, made[1].key, keys))
    end
    local function key(path)
      return ("ssl_session_ticket_key %s; "):format(path)
    end
    local a, b, c, d = server(key(long)), server(key(short)), server(key(short) .. key(long)), server("")
    assert.is_true(resumed(a.port, a.port))
    assert.is_true(resumed(a.port, c.port))
    assert.is_true(resumed(b.port, c.port))
    assert.is_true(resumed(c.port, b.port))
    assert.is_false(resumed(a.port, b.port))
    assert.is_true(resumed(d.port, d.port))
    assert.is_false(resumed(d.port, a.port))
  end))

  it("have 48 or 80 bytes", run(function()
    local path = tmp.write(tmp.dir(), "key", "short")
    local done = gateway.exec("events {}\nhttp { server { listen 127.0.0.1:0 ssl; ssl_session_ticket_key " .. path .. "; } }\n",
      { name = "nginx.conf", args = { "-t", "-c", "{conf}", "-e", "stderr" } })
    assert.equal(1, done.status)
    assert.matches("must be 48 or 80 bytes", done:stderr(), 1, true)
  end))
end)

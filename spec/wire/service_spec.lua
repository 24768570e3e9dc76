--- Servers found by SRV records: ports, weights, priorities; and what becomes of them when DNS changes or fails.
local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local dns = require("spec.support.dns")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start_nginx = require("spec.nginx.start")
local wait = require("spec.support.wait")

--- Origins that say who they are.
local function origins(n)
  local out = {}
  for i = 1, n do
    out[i] = origin.start(function()
      return 200, nil, tostring(i)
    end)
  end
  return out
end

local function native(d, peers, more)
  return gateway.start(([[
    gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, resolver = "127.0.0.1:%d" }
    upstream "app" { %s, balance = "round_robin", %s }
    site "*" { proxy = "app" }
  ]]):format(d.port, peers, more or ""))
end

local function nginx(d, server)
  return start_nginx(([[
    resolver 127.0.0.1:%d valid=1s;
    resolver_timeout 1s;
    upstream app { zone app 64k; %s }
    server { listen 127.0.0.1:0; location / { proxy_pass http://app; } }
  ]]):format(d.port, server))
end

--- How many of n answers each origin gave.
local function spread(gw, n)
  local out = { 0, 0, 0 }
  for _ = 1, n do
    local r = client.get(gw.port, "/")
    assert.equal(200, r.status)
    out[tonumber(r.body)] = out[tonumber(r.body)] + 1
  end
  return out
end

local function answers(gw, body)
  wait.till(function()
    return client.get(gw.port, "/").body == body
  end, "an answer of " .. body, 10)
end

local records = "_http._tcp.app.test"

for dialect, start in pairs {
  native = function(d)
    return native(d, '"srv://' .. records .. '"')
  end,
  nginx = function(d)
    return nginx(d, "server app.test service=http resolve;")
  end,
} do
  describe("SRV records, " .. dialect, function()
    it("give ports and weights", run(function()
      local o = origins(2)
      local d = dns.start { ["a.test"] = { "127.0.0.1" }, [records] = {
        { port = o[1].port, weight = 3, target = "a.test" }, { port = o[2].port, weight = 1, target = "a.test" } } }
      local gw = start(d)
      answers(gw, "2")
      assert.same({ 6, 2, 0 }, spread(gw, 8))
    end))

    it("have backups with other priorities than the best", run(function()
      local o = origins(2)
      local d = dns.start { ["a.test"] = { "127.0.0.1" }, [records] = {
        { port = o[2].port, priority = 20, target = "a.test" }, { port = o[1].port, priority = 10, target = "a.test" } } }
      local gw = start(d)
      answers(gw, "1")
      assert.same({ 4, 0, 0 }, spread(gw, 4))
      local tiers = {}
      for _, p in ipairs(ctl.status(gw).upstreams[1].peers) do
        tiers[tonumber(p.address:match("%d+$"))] = p.tier
      end
      assert.same({ [o[1].port] = "primary", [o[2].port] = "backup" }, tiers)
      o[1]:unlisten()
      o[1]:drop()
      assert.same({ 0, 4, 0 }, spread(gw, 4))
    end))

    it("are asked for again: servers come and go", run(function()
      local o = origins(2)
      local d = dns.start { ["a.test"] = { "127.0.0.1", ttl = 1 }, [records] = { { port = o[1].port, target = "a.test" }, ttl = 1 } }
      local gw = start(d)
      answers(gw, "1")
      d.zone[records] = { { port = o[2].port, target = "a.test" }, ttl = 1 }
      answers(gw, "2")
      assert.same({ 0, 4, 0 }, spread(gw, 4))
    end))

    it("keep the last servers while DNS fails", run(function()
      local o = origins(1)
      local d = dns.start { ["a.test"] = { "127.0.0.1", ttl = 1 }, [records] = { { port = o[1].port, target = "a.test" }, ttl = 1 } }
      local gw = start(d)
      answers(gw, "1")
      d.mode = "servfail"
      local asked = d.queries
      wait.till(function()
        return d.queries > asked + 2
      end, "it to be asked", 10)
      assert.equal("1", client.get(gw.port, "/").body)
    end))
  end)
end

describe("SRV records", function()
  it("make no service of a target of . or of one without addresses", run(function()
    local o = origins(1)
    local d = dns.start { ["a.test"] = { "127.0.0.1" }, [records] = {
      { port = 1, target = "." }, { port = 1, target = "nowhere.test" }, { port = o[1].port, target = "a.test" } } }
    local gw = native(d, '"srv://' .. records .. '"')
    answers(gw, "1")
    assert.equal(1, #ctl.status(gw).upstreams[1].peers)
  end))

  it("that are broken are no servers", run(function()
    local o = origins(1)
    local zone, servers = { ["a.test"] = { "127.0.0.1" }, [records] = { { port = o[1].port, target = "a.test" } } }, {}
    for i, raw in ipairs {
      "", "\0", "\0\1\0\1\0\80", "\0\1\0\1\0\80\63abc", "\0\1\0\1\0\80\192", "\0\1\0\1\0\80\255\255", ("\255"):rep(400),
      "\0\1\0\1\0\80\192\12" .. ("x"):rep(100), "\0\1\0\1\0\0\1a\4test\0",
    } do
      local name = ("_http._tcp.broken%d.test"):format(i)
      zone[name] = { { raw = raw } }
      servers[i] = ('"srv://%s"'):format(name)
    end
    local d = dns.start(zone)
    local gw = native(d, table.concat(servers, ", ") .. ', "srv://' .. records .. '"')
    wait.till(function()
      return d.queries >= #servers + 1
    end, "all to be asked for")
    answers(gw, "1")
    local peers = {}
    for _, p in ipairs(ctl.status(gw).upstreams[1].peers) do
      peers[#peers + 1] = p.state ~= "unresolved" and p.address or nil
    end
    assert.same({ "127.0.0.1:" .. o[1].port }, peers)
  end))

  it("of a server that is a backup are backups, and of the best priority only", run(function()
    local o = origins(3)
    local d = dns.start { ["a.test"] = { "127.0.0.1" }, [records] = {
      { port = o[2].port, priority = 1, target = "a.test" }, { port = o[3].port, priority = 2, target = "a.test" } } }
    local gw = native(d, ('"127.0.0.1:%d", { "srv://%s", backup = true }'):format(o[1].port, records))
    wait.till(function()
      return #ctl.status(gw).upstreams[1].peers == 2
    end, "the backup")
    assert.same({ 4, 0, 0 }, spread(gw, 4))
    o[1]:unlisten()
    o[1]:drop()
    assert.same({ 0, 4, 0 }, spread(gw, 4))
  end))

  it("have their weights replaced by the server's own", run(function()
    local o = origins(2)
    local d = dns.start { ["a.test"] = { "127.0.0.1" }, [records] = {
      { port = o[1].port, weight = 9, target = "a.test" }, { port = o[2].port, weight = 1, target = "a.test" } } }
    local gw = native(d, ('{ "srv://%s", weight = 5 }'):format(records))
    answers(gw, "2")
    assert.same({ 4, 4, 0 }, spread(gw, 8))
  end))

  it("may be what a route proxies to", run(function()
    local o = origins(1)
    local d = dns.start { ["a.test"] = { "127.0.0.1" }, [records] = { { port = o[1].port, target = "a.test" } } }
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, resolver = "127.0.0.1:%d" }
      site "*" { proxy = "srv://%s" }
    ]]):format(d.port, records))
    answers(gw, "1")
  end))

  it("of a server with tls are verified by the name behind the service", run(function()
    local certs = require("spec.support.certs")
    local pair = certs.make("app.test")
    local o = origin.start(nil, { tls = pair })
    local d = dns.start { ["a.test"] = { "127.0.0.1" }, ["_https._tcp.app.test"] = { { port = o.port, target = "a.test" } } }
    local gw = native(d, '"srv://_https._tcp.app.test"', ("tls = { ca = %q }"):format(pair.cert))
    wait.till(function()
      return client.get(gw.port, "/").status == 200
    end, "an answer")
  end))

  it("are changed at run time by the name of the server", run(function()
    local o = origins(2)
    local d = dns.start { ["a.test"] = { "127.0.0.1" }, [records] = {
      { port = o[1].port, target = "a.test" }, { port = o[2].port, target = "a.test" } } }
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, resolver = "127.0.0.1:%d", admin = { state = "changes" } }
      upstream "app" { "srv://%s", balance = "round_robin" }
      site "*" { proxy = "app" }
    ]]):format(d.port, records))
    answers(gw, "2")
    assert.equal(0, ctl.run(gw, "upstream", "drain", "app", "127.0.0.1:" .. o[1].port).status)
    assert.same({ 0, 4, 0 }, spread(gw, 4))
    assert.equal(0, ctl.run(gw, "upstream", "drain", "app", "srv://" .. records).status)
    assert.equal(502, client.get(gw.port, "/").status)
  end))

  it("have a native form that import prints", run(function()
    local done = gateway.exec([[
      events {}
      http {
        resolver 127.0.0.1;
        upstream u { zone z 64k; server app.test service=http resolve weight=2; server b.test service=_sip._udp resolve backup; }
        server { listen 80; server_name a.test; location / { proxy_pass http://u; } }
      }
    ]], { name = "nginx.conf", args = { "import", "{conf}" } })
    assert.is_truthy(done:stdout():find('{ "srv://_http._tcp.app.test", weight = 2 }', 1, true), done:stdout())
    assert.is_truthy(done:stdout():find('{ "srv://_sip._udp.b.test", backup = true }', 1, true), done:stdout())
  end))

  it("are refused where nginx refuses them", run(function()
    local cases = {
      ["server app.test service=http;"] = 'service upstream "app.test" requires "resolve" parameter',
      ["server app.test:80 service=http resolve;"] = 'service upstream "app.test:80" may not have port',
      ["server 127.0.0.1 service=http resolve;"] = 'service upstream "127.0.0.1" requires domain name',
      ["server app.test service= resolve;"] = "service is empty",
    }
    for server, message in pairs(cases) do
      local done = gateway.exec(("events {} http { resolver 127.0.0.1; upstream u { zone z 64k; %s } }"):format(server),
        { name = "nginx.conf", args = { "-t", "-c", "{conf}" } })
      assert.equal(1, done.status)
      assert.is_truthy(done:stderr():find(message, 1, true), done:stderr())
    end
    local done = gateway.exec('site "*" { proxy = "srv://app.test" }', { args = { "check", "{conf}" } })
    local message = "'srv://app.test' is no name of SRV records, such as \"srv://_http._tcp.app.internal\""
    assert.is_truthy(done:stderr():find(message, 1, true), done:stderr())
  end))
end)

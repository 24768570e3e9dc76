--- conf.load where golden files would hide the point: sockets and TLS, hooks, bundles, arguments of `run`, certificates.
local conf = require "conf"

local PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"

local function load(text, opts)
  local args = {
    path = "/etc/gw/gateway.lua", text = text, ipv6 = false,
    reader = function(path)
      if path:match("%.pem$") then
        return PEM
      end
      return nil, path .. ": No such file or directory"
    end,
  }
  for k, v in pairs(opts or {}) do
    args[k] = v
  end
  local ok, model, diags = conf.load(args)
  return model and model.gateway, conf.report(diags), model and model.hooks, ok
end

local function listens(gateway)
  local out = {}
  for i, l in ipairs(gateway.listens) do
    local sites = {}
    for k, index in ipairs(l.sites) do
      sites[k] = gateway.sites[index + 1].label
    end
    out[i] = l.address .. (l.tls and " tls" or "") .. ": " .. table.concat(sites, ", ")
  end
  return out
end

describe("an address of its own beside every address", function()
  it("is served by the socket of every address of that port", function()
    local g = load('site "a" { listen = ":8080", reply = {} } site "b" { listen = "127.0.0.1:8080", reply = {} }')
    assert.same({ "0.0.0.0:8080: a", "127.0.0.1:8080: b" }, listens(g))
    assert.same({ [2] = 0 }, { g.listens[1].under, g.listens[2].under })
  end)
end)

describe("a site with certificates", function()
  it("listens on 443 and redirects from 80", function()
    local g, report = load('site "a.example.com" { tls = "live/a", proxy = "127.0.0.1:1" }')
    assert.equal("", report)
    assert.same({ "0.0.0.0:443 tls: a.example.com", "0.0.0.0:80: a.example.com (redirect to https)" }, listens(g))
    local route = g.sites[2].routes[1]
    assert.same({ "reply", 301, "https://$host$request_uri" }, { route.action, route.reply_status, route.reply_location })
    assert.equal("/etc/gw/live/a/fullchain.pem", g.sites[1].certs[1].cert_file)
    assert.equal(PEM, g.sites[1].certs[1].key_pem)
  end)

  it("names the port of its own listen address in the redirect", function()
    local g = load('site "a" { tls = "a", listen = { ":8080", "127.0.0.1:8443 tls" }, proxy = "127.0.0.1:1" }')
    assert.same({ "0.0.0.0:8080: a (redirect to https)", "127.0.0.1:8443 tls: a" }, listens(g))
    assert.equal("https://$host:8443$request_uri", g.sites[2].routes[1].reply_location)
  end)

  it("serves plain HTTP itself when told so", function()
    local g = load('site "a" { tls = "a", http_redirect = false, listen = { ":80", ":443 tls" }, proxy = "127.0.0.1:1" }')
    assert.same({ "0.0.0.0:80: a", "0.0.0.0:443 tls: a" }, listens(g))
  end)

  it("has no port 80 when the redirect is off and nothing is said", function()
    local g = load('site "a" { tls = "a", http_redirect = false, proxy = "127.0.0.1:1" }')
    assert.same({ "0.0.0.0:443 tls: a" }, listens(g))
  end)

  it("takes several, protocols and client authorities", function()
    local g, report = load([[site "a" { tls = {
      { cert = "a.pem", key = "ak.pem", protocols = "TLSv1.3", client = { ca = "ca.pem" } }, "b" }, listen = "127.0.0.1:1 tls",
      proxy = "127.0.0.1:1" }]])
    assert.equal("", report)
    assert.equal(2, #g.sites[1].certs)
    assert.equal("TLSv1.3", g.listens[1].tls_protocols)
    assert.same({ "on", PEM }, { g.sites[1].tls_policy[1].verify, g.sites[1].tls_policy[1].client_ca_pem })
  end)

  it("hears from the core when a pair does not fit", function()
    package.loaded["moongate.core"] = {
      tls_check = function(_, _, host, name)
        if name:find("bad", 1, true) then
          return nil, "the key does not belong to the certificate"
        end
        return host ~= "b.example.com"
      end,
    }
    local g, fits = load('site { "a.example.com", "b.example.com" } {\n  tls = "live/a", proxy = "127.0.0.1:1" }')
    local _, report = load('site { "a.example.com" } {\n  tls = "bad", proxy = "127.0.0.1:1" }')
    package.loaded["moongate.core"] = nil
    assert.is_table(g)
    local warning = "gateway.lua:2:3: warning: the certificate '/etc/gw/live/a/fullchain.pem' is not for 'b.example.com'"
    assert.is_truthy(fits:find(warning, 1, true), fits)
    assert.is_truthy(report:find("gateway.lua:2:3: error: the key does not belong to the certificate", 1, true), report)
  end)
end)

describe("listeners", function()
  it("are shared by sites, with and without TLS", function()
    local g = load([[
      gateway { listen = { "127.0.0.1:80", "127.0.0.1:443 tls" } }
      site "a" { tls = "a", proxy = "127.0.0.1:1" }
      site "*" { proxy = "127.0.0.1:1" }]])
    assert.same({ "127.0.0.1:80: a (redirect to https), *", "127.0.0.1:443 tls: a" }, listens(g))
    assert.equal("*", g.sites[g.listens[1].default_site + 1].label)
    assert.is_nil(g.listens[2].default_site)
  end)

  it("without a host mean both families", function()
    local g = load('site "a" { proxy = "127.0.0.1:1", listen = { ":81 proxy_protocol", ":0" } }', { ipv6 = true })
    assert.same({ "0.0.0.0:81: a", "[::]:81: a", "0.0.0.0:0: a" }, listens(g))
    assert.is_true(g.listens[2].proxy_protocol)
  end)

  it("cannot be plain and TLS at once", function()
    local _, report = load('site "a" { tls = "a", listen = "127.0.0.1:1 tls", proxy = "127.0.0.1:1" }\n'
      .. 'site "b" { listen = "127.0.0.1:1", proxy = "127.0.0.1:1" }')
    assert.is_truthy(report:find('"127.0.0.1:1" is said with other flags at /etc/gw/gateway.lua:1', 1, true), report)
  end)
end)

describe("hooks", function()
  local policies = {
    named = { name = "named", on_error = "continue", new = function() return { access = function() return "policy" end } end },
  }
  local function find(name)
    return policies[name]
  end

  it("are composed gateway, site, route; policies before inline", function()
    local made = 0
    policies.named.new = function()
      made = made + 1
      return { access = function() return "policy" end }
    end
    local g, report, hooks = load([[
      gateway { on = { access = function() return "gateway" end } }
      site "a" {
        proxy = "127.0.0.1:1",
        on = { access = function() return "site" end, log = function() end }, use = { policy "named" },
        route "/x" { on = { access = function() return "route" end } },
        route "/y" {},
      }]], { policies = find })
    assert.equal("", report)
    local order = {}
    local route = g.sites[1].routes[1]
    for i, fn in ipairs(hooks[route.hook_id].access) do
      order[i] = fn()
    end
    assert.same({ "gateway", "policy", "site", "route" }, order)
    assert.equal(2 + 32, route.hooks)
    assert.same({ "named" }, hooks[route.hook_id].policies)
    assert.equal("continue", hooks[route.hook_id].entries.access[2].on_error)
    assert.equal("/etc/gw/gateway.lua:4", hooks[route.hook_id].entries.access[3].label)
    assert.equal(1, made)
    assert.equal(g.sites[1].routes[2].hook_id, g.sites[1].routes[3].hook_id)
  end)

  it("may answer for a route without a target", function()
    local g, report = load('site "a" { route "/x" { on = { access = function() end } } }')
    assert.equal("", report)
    assert.equal("none", g.sites[1].routes[1].action)
  end)

  it("see the upstreams they close over, numbered", function()
    local _, _, hooks = load([[
      local one = upstream "one" { "127.0.0.1:1" }
      local two = upstream "two" { "127.0.0.1:2" }
      site "a" { proxy = one, on = { rewrite = function() return two end } }]])
    assert.same({ __upstream = true, name = "two", index = 1 }, hooks[1].rewrite[1]())
  end)

  it("run sealed, with mg and without globals", function()
    package.loaded["moongate"] = { now = function() return 42 end }
    local _, report, hooks = load([[site "a" { on = {
      access = function() return mg.now(), io, string.dump end,
      log = function() leaked = 1 end,
    } }]])
    assert.equal("", report)
    assert.same({ 42, nil, nil }, { hooks[1].access[1]() })
    assert.same({ false, "/etc/gw/gateway.lua:3: assignment to global 'leaked': "
      .. "hooks keep state in ctx, in locals or in mg.shared" }, { pcall(hooks[1].log[1]) })
    package.loaded["moongate"] = nil
  end)

  it("leave the libraries of others alone", function()
    local before = string.rep
    load('string.rep = nil; string.x = 1; table.insert = nil site "a" { proxy = "127.0.0.1:1" }')
    assert.equal(before, string.rep)
    assert.is_nil(rawget(string, "x"))
    assert.is_function(table.insert)
  end)
end)

describe("run", function()
  local function sites(args)
    local ok, model, diags = conf.load { run_args = args, ipv6 = false }
    if not ok then
      return nil, conf.report(diags)
    end
    return model.gateway
  end

  it("makes a site of HOST=URL", function()
    local g = sites { "app.example.com=127.0.0.1:3000", ":8080=http://127.0.0.1:4000/x", "b:81=unix:/run/b.sock" }
    assert.same({ "0.0.0.0:80: app.example.com", "0.0.0.0:8080: *", "0.0.0.0:81: b" }, listens(g))
    assert.same({ "127.0.0.1:3000", "127.0.0.1:4000", "unix:/run/b.sock" }, {
      g.upstreams[1].peers[1].address, g.upstreams[2].peers[1].address, g.upstreams[3].peers[1].address,
    })
    assert.equal("/x", g.sites[2].routes[1].add_path)
  end)

  it("says what it does not understand", function()
    local _, report = sites { "gateway.conf" }
    assert.is_truthy(report:find("'gateway.conf' is neither a file (NAME.lua) nor HOST=URL", 1, true), report)
  end)
end)

describe("loading", function()
  it("reads everything through the reader, relative to the file", function()
    local asked = {}
    local files = {
      ["conf/gateway.lua"] = 'include "sites/*.lua" local c = include "sub/common.lua"\nsite "a" { proxy = c.proxy, tls = "tls" }',
      ["conf/sub/common.lua"] = 'return { proxy = file "address.txt" }',
      ["conf/sub/address.txt"] = "127.0.0.1:1",
      ["conf/sites/one.lua"] = 'site "one" { proxy = "127.0.0.1:2", listen = "unix:/x" }',
      ["conf/tls/fullchain.pem"] = PEM, ["conf/tls/privkey.pem"] = PEM,
    }
    local ok, model, diags = conf.load {
      path = "gateway.lua", prefix = "conf",
      reader = function(path)
        asked[#asked + 1] = path
        return files[path], not files[path] and "not there" or nil
      end,
      glob = function(pattern)
        assert.equal("conf/sites/*.lua", pattern)
        return { "conf/sites/one.lua" }
      end,
    }
    assert.equal("", conf.report(diags))
    assert.is_true(ok)
    assert.equal(2, #model.gateway.upstreams)
    assert.same({ "conf/gateway.lua", "conf/sites/one.lua", "conf/sub/common.lua", "conf/sub/address.txt", "conf/tls/fullchain.pem",
      "conf/tls/privkey.pem" }, asked)
  end)

  it("warns of an upstream that nobody uses and still loads", function()
    local g, report = load('upstream "spare" { "127.0.0.1:1" }\nsite "a" { proxy = "127.0.0.1:2" }')
    assert.is_table(g)
    assert.is_truthy(report:find('gateway.lua:1:1: warning: upstream "spare" is used by nobody', 1, true), report)
  end)

  it("takes source text only", function()
    local _, report = load(string.dump(loadstring("return 1")))
    assert.is_truthy(report:find("this is compiled Lua, not source text", 1, true), report)
  end)

  it("marks the right columns behind text that is not ASCII", function()
    local _, report = load('site "a" { --[[ é ]] proxi = "x" }')
    assert.is_truthy(report:find("\n    |" .. (" "):rep(22) .. "^^^^^", 1, true), report)
  end)
end)

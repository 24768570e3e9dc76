--- `vars` and `set`: variables that the configuration makes.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")

describe("variables of the configuration", function()
  local gw, o

  setup(run.setup(function()
    o = origin.start(function(req)
      return 200, { ["X-User"] = req.path == "/auth" and "joe" or nil }, req.headers:get("X-Vars") or "-"
    end)
    local policy = [[
      local t, mg = require "moongate.schema", require "moongate"
      return mg.policy { name = "tell", options = t.record { by = t.template() }, new = function(o)
        local by = mg.template(o.by)
        return { header = function(req, res) res:set("X-Told", by:render() .. "/" .. req:var("tenant")) end }
      end }
    ]]
    gw = gateway.start(([[
      gateway {
        listen = "127.0.0.1:0", workers = 1, log = { access = false },
        vars = {
          tenant = { map = "$http_x_tenant", default = "none", values = {
            acme = "A", ["~ ^beta-(?<n>\\d+)$"] = "B$n", ["~* ^BETA"] = "other beta",
          } },
          site_of = { map = "$host", hosts = true, values = { ["*.example.com"] = "sub", ["example.org"] = "org" } },
          net   = { geo = "$http_x_ip", default = "far", values = { ["10.0.0.0/8"] = "near", ["10.9.0.0/16"] = "nearer" } },
          range = { geo = "$http_x_ip", values = { ["10.0.0.1-10.0.0.9"] = "few" } },
          half  = { split = "$http_x_ip", shares = { { "50%%", "a" }, { "*", "b" } } },
          all   = "$tenant|$site_of|$net|$range|$mark|$user",
        },
      }
      site "*" {
        proxy = "http://127.0.0.1:%d", request_headers = { set = { ["X-Vars"] = "$all" } },
        set = { mark = "site", user = "" },
        use = { policy "tell" { by = "$all" } },
        route "/own"  { set = { mark = "route $tenant" } },
        route "/none" { set = false },
        route "/auth" { set = false },
        route "/half" { reply = { body = "$half" } },
        route "/user" { forward_auth = { path = "/auth", set = { user = "$upstream_http_x_user" } } },
      }
    ]]):format(o.port), { files = { ["policies/tell.lua"] = policy } })
  end))
  teardown(run.teardown)

  it("are maps by text, pattern and host name", run(function()
    local function ask(tenant, host)
      return client.get(gw.port, "/", { ["X-Tenant"] = tenant, Host = host }).body:match("^([^|]*|[^|]*)")
    end
    assert.equal("A|sub", ask("acme", "a.example.com"))
    assert.equal("B42|org", ask("beta-42", "example.org"))
    assert.equal("other beta|", ask("beta-x", "example.net"))
    assert.equal("none|", ask(nil, "x"))
  end))

  it("are found by address", run(function()
    local function ask(ip)
      return client.get(gw.port, "/", { ["X-Ip"] = ip }).body:match("^[^|]*|[^|]*|([^|]*|[^|]*)")
    end
    assert.equal("near|", ask("10.1.2.3"))
    assert.equal("nearer|", ask("10.9.2.3"))
    assert.equal("near|few", ask("10.0.0.5"))
    assert.equal("far|", ask("192.0.2.1"))
  end))

  it("deal out shares", run(function()
    local seen = {}
    for i = 1, 40 do
      seen[client.get(gw.port, "/half", { ["X-Ip"] = "10.0.0." .. i }).body] = true
    end
    assert.same({ a = true, b = true }, seen)
  end))

  it("are set by routes, and by the answer to a sub-request", run(function()
    local function ask(path)
      return client.get(gw.port, path).body:match("([^|]*|[^|]*)$")
    end
    assert.equal("site|", ask("/"))
    assert.equal("route none|", ask("/own"))
    assert.equal("site|joe", ask("/user"))
  end))

  it("are known to policies and hooks", run(function()
    assert.equal("A|||" .. "|site|/A", (client.get(gw.port, "/", { ["X-Tenant"] = "acme", ["X-Ip"] = "10.0.0.77" }).headers:get("X-Told")
      :gsub("near", "")))
  end))
end)

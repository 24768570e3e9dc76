--- What a route's exchanges do beyond the usual, in the native dialect: cookies, redirects, what is sent, what is passed, targets that
--- requests make.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")

describe("cookies", function()
  it("get another domain, path and other flags, the most specific rule first", run(function()
    local o = origin.start(function()
      return 200, { ["Set-Cookie"] = "session=1; Domain=.backend.local; Path=/app/x; Secure" }
    end)
    local gw = start.proxy(o.port, [[
      cookies = {
        domain = { ["backend.local"] = "example.com", ["~ \\.test$"] = "$host" },
        path   = { ["/app"] = "", ["/app/x"] = "/deep" },
        flags  = { session = { "nosecure", "httponly", "samesite=lax" }, ["~ ."] = "secure" },
      },
      route "/as-it-is" { cookies = false },
      route "/other/*" { cookies = { flags = { session = false } } },
    ]])
    assert.equal("session=1; Domain=.example.com; Path=/deep; HttpOnly; SameSite=Lax", client.get(gw.port, "/").headers:get("Set-Cookie"))
    assert.equal("session=1; Domain=.backend.local; Path=/app/x; Secure", client.get(gw.port, "/as-it-is").headers:get("Set-Cookie"))
    assert.equal("session=1; Domain=.example.com; Path=/deep; Secure", client.get(gw.port, "/other/x").headers:get("Set-Cookie"))
  end))
end)

describe("rewrite_location", function()
  it("is a table of rules for Location and Refresh", run(function()
    local o = origin.start(function(req)
      local to = req.headers:get("X-To")
      return 302, { Location = to, Refresh = "5; url=" .. to }
    end)
    local gw = start.proxy(o.port, [[
      rewrite_location = {
        ["http://inner:8080/"] = "/app/", ["~* ^https?://([a-z]+)\\.inner/(?<rest>.*)$"] = "https://$1.example.com/$rest",
      },
      route "/raw" { rewrite_location = false },
    ]])
    local function location(path, to)
      local res = client.get(gw.port, path, { ["X-To"] = to })
      return res.headers:get("Location"), res.headers:get("Refresh")
    end
    assert.same({ "/app/x", "5; url=/app/x" }, { location("/", "http://inner:8080/x") })
    assert.equal("https://shop.example.com/a?b", (location("/", "HTTP://shop.inner/a?b")))
    assert.equal("http://elsewhere/", (location("/", "http://elsewhere/")))
    assert.equal("http://inner:8080/x", (location("/raw", "http://inner:8080/x")))
  end))
end)

describe("send", function()
  it("has a method, a body, no fields of the client and a local address", run(function()
    local o = origin.start(function(req)
      return 200, nil, ("%s %s %s %s"):format(req.method, req.body or "-", req.headers:get("X-A") or "-", req.headers:get("X-B") or "-")
    end)
    local gw = start.proxy(o.port, [[
      route "/post" { send = { method = "POST", body = "id=$arg_id" } },
      route "/bare" { send = { headers = false, body = false }, request_headers = { set = { ["X-B"] = "b" } } },
      route "/bind" { send = { from = "127.0.0.9", tcp_keepalive = true }, request_headers = { set = { ["X-A"] = "$remote_addr" } } },
    ]])
    assert.equal("POST id=7 a -", client.get(gw.port, "/post?id=7", { ["X-A"] = "a" }).body)
    assert.equal("PUT  - b", client.call(gw.port, "PUT", "/bare", { ["X-A"] = "a" }, "thrown away").body)
    assert.equal("GET  127.0.0.1 -", client.get(gw.port, "/bind").body)
    local _, host = o:last().sock:peername()
    assert.equal("127.0.0.9", host)
  end))
end)

describe("upstream_headers", function()
  it("hide, show and ignore fields", run(function()
    local o = origin.start(function()
      return 200, { Server = "origin/1", ["X-Powered-By"] = "x", ["X-Accel-Redirect"] = "/secret", ["X-Accel-Limit-Rate"] = "1" }, "body"
    end)
    local gw = start.proxy(o.port, [[
      upstream_headers = { hide = "X-Powered-By", show = { "Server" }, ignore = "X-Accel-Limit-Rate" },
      route "/secret" { reply = { body = "secret" } },
      route "/usual" { upstream_headers = { hide = false, show = false } },
    ]])
    local res = client.get(gw.port, "/")
    assert.same({ "origin/1", "body" }, { res.headers:get("Server"), res.body })
    assert.is_nil(res.headers:get("X-Powered-By"))
    assert.equal("x", client.get(gw.port, "/usual").headers:get("X-Powered-By"))
    assert.equal("moongate", client.get(gw.port, "/usual").headers:get("Server"))
  end))

  it("follow X-Accel-Redirect only where it is asked for, to routes that nobody else reaches", run(function()
    local o = origin.start(function(req)
      return 200, { ["X-Accel-Redirect"] = req.path == "/named" and "@page" or "/private/a" }, "from the origin"
    end)
    local gw = start.proxy(o.port, [[
      route "/private/*" { internal = true, reply = { body = "private $uri" } },
      route "@page"      { reply = { body = "named" } },
      route "/named"     { upstream_headers = { accel_redirect = true } },
      route "/away"      { upstream_headers = { accel_redirect = true } },
      route "/stays"     { upstream_headers = { show = "Server" } },
    ]])
    assert.equal("named", client.get(gw.port, "/named").body)
    assert.equal("private /private/a", client.get(gw.port, "/away").body)
    assert.equal("from the origin", client.get(gw.port, "/stays").body)
    assert.equal("from the origin", client.get(gw.port, "/private/a").body) -- the site's own answer: the route is not seen
  end))
end)

describe("proxy with variables", function()
  it("goes where the request says", run(function()
    local a = origin.start(function(req)
      return 200, nil, "a " .. req.target
    end)
    local b = origin.start(function()
      return 200, nil, "b"
    end)
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      upstream "pool" { "127.0.0.1:%d" }
      site "*" {
        route "/to"   { proxy = "http://127.0.0.1:$arg_port/x$is_args$args" },
        route "/pool" { proxy = "http://$arg_name" },
        route "/fix"  { proxy = "http://pool" },
      }
    ]]):format(b.port))
    assert.equal("b", client.get(gw.port, "/pool?name=pool").body)
    assert.equal("b", client.get(gw.port, "/to?port=" .. b.port).body)
    assert.equal("a /x?port=" .. a.port, client.get(gw.port, "/to?port=" .. a.port).body)
    assert.equal(500, client.get(gw.port, "/to?port=nothing").status)
  end))
end)

describe("rewrite", function()
  it("puts another path in place, and the route stays", run(function()
    local o = origin.start(function(req)
      return 200, nil, req.target
    end)
    local gw = start.proxy(o.port, [[
      rewrite = { ["/old/"] = "/new/", ["~ ^/u/(?<id>\\d+)$"] = "/users?id=$id" },
      route "/plain/*" { rewrite = false },
      route "/new/*" { reply = { body = "the route of the new path" } },
    ]])
    assert.equal("/new/x?y=1", client.get(gw.port, "/old/x?y=1").body)
    assert.equal("/users?id=7&z", client.get(gw.port, "/u/7?z").body)
    assert.equal("/u/x", client.get(gw.port, "/u/x").body)
  end))
end)

describe("tls of an upstream", function()
  it("may have a depth, versions, no name, no resumption; and an address with variables is verified", run(function()
    local certs = require("spec.support.certs")
    local pair = certs.make("localhost")
    local o = origin.start(function()
      return 200, nil, "in"
    end, { tls = pair })
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      local function to(name, tls)
        return upstream(name) { "https://127.0.0.1:%d", tls = tls }
      end
      site "*" {
        route "/plain"  { proxy = to("plain", { ca = "%s", name = "localhost" }) },
        route "/more"   { proxy = to("more", {
          ca = "%s", name = "localhost", depth = 2, protocols = "TLSv1.2", sni = false, resume = false,
        }) },
        route "/strict" { proxy = to("strict", { ca = "%s", name = "other.test", depth = 1 }) },
        route "/made"   { proxy = "https://127.0.0.1:$arg_port" },
      }
    ]]):format(o.port, pair.cert, pair.cert, pair.cert))
    assert.equal("in", client.get(gw.port, "/plain").body)
    assert.equal("in", client.get(gw.port, "/more").body)
    assert.equal(502, client.get(gw.port, "/strict").status)
    assert.equal(502, client.get(gw.port, "/made?port=" .. o.port).status) -- self-signed: nobody knows it
  end))
end)

--- Where an exchange goes and what it asks there, when the route or the request says so.
local flow = require("spec.unit.core.flow.support")
local unit, ffi, net = flow.unit, flow.ffi, flow.net
local C = unit.use("flow/target.h", "flow/plan.h", "flow/exchange_impl.h", "back/group.h")

--- A request of a route to `app`, whose exchange is `exchange`.
local function request(target, route, exchange, fields)
  local rt = flow.route("/*", { action = "proxy", upstream = 0 })
  for key, value in pairs(route or {}) do
    rt[key] = value
  end
  rt.exchange = exchange and { exchange } or nil
  local p = assert(flow.plan({
    listens = { { address = "127.0.0.1:0", sites = { 0 } } }, sites = { { names = { "*" }, routes = { rt } } },
    upstreams = { { name = "app", peers = { { address = "127.0.0.1:1" } } }, { name = "other", peers = { { address = "127.0.0.1:2" } } } },
  }))
  local err = ffi.new("char[256]")
  assert(C.plan_attach(p, C.group_set_new(net.loop(), nil), err, 256) == 0, ffi.string(err))
  local r = flow.req(p, target, fields or { { "Host", "site.example" } })
  r.route = p.sites[0].routes
  r.group = r.route.group
  return r, p
end

describe("flow/target: what is asked upstream", function()
  local function uri(target, route, change)
    local r = request(target, route)
    if change then
      change(r, function(text)
        return C.pool_dup(r.pool, unit.str(text))
      end)
    end
    local text = flow.text(C.target_uri(r))
    r.group = nil
    C.req_free(r)
    return text
  end

  it("is the target as it came while nothing changed it", function()
    for _, target in ipairs { "/", "/a%2Fb/../c?x=%20", "//a", "/?", "/%41" } do
      assert.equal(target, uri(target))
    end
    assert.equal("*", uri("OPTIONS *"))
  end)

  it("has another beginning where the route replaces it: normalised and encoded again", function()
    local strip = { strip = true, strip_path = "/app/", add_path = "/x/" }
    assert.equal("/x/a", uri("/app/a", strip))
    assert.equal("/x/", uri("/app/", strip))
    assert.equal("/x/b%20c?q=%41", uri("/app/a/../b%20c?q=%41", strip))
    assert.equal("/x/%25", uri("/app/%25", strip))
    assert.equal("/y", uri("/app", { strip = true, strip_path = "/app", add_path = "/y" }))
    assert.equal("/yb", uri("/appb", { strip = true, strip_path = "/app", add_path = "/y" }))
  end)

  it("begins with a slash whatever is cut off", function()
    assert.equal("/a", uri("/app/a", { strip = true, strip_path = "/app/", add_path = "" }))
    assert.equal("/", uri("/app", { strip = true, strip_path = "/app", add_path = "" }))
  end)

  it("follows a path that was rewritten, which is kept whole after break", function()
    local strip = { strip = true, strip_path = "/app/", add_path = "/x/" }
    local function rewritten(kept)
      return function(r, dup)
        r.path, r.path_changed, r.path_kept = dup("/app/new path"), true, kept
      end
    end
    assert.equal("/x/new%20path?a=1", uri("/app/old?a=1", strip, rewritten(false)))
    assert.equal("/app/new%20path?a=1", uri("/app/old?a=1", strip, rewritten(true)))
    assert.equal("/app/new%20path", uri("/app/old", nil, rewritten(false)))
  end)

  it("keeps the path as it came when only the query changed", function()
    local function query(text)
      return function(r, dup)
        r.query, r.query_changed = text and dup(text) or unit.str(nil), true
      end
    end
    assert.equal("/a%2Fb?n=2", uri("/a%2Fb?n=1", nil, query("n=2")))
    assert.equal("/a%2Fb?", uri("/a%2Fb?n=1", nil, query("")))
  end)
end)

describe("flow/target: a URL made for each request", function()
  --- host, port, uri, name of the group; or nil and the code.
  local function evaluated(template, target, route)
    local r = request(target or "/", route, { target = template })
    local rc = C.target_evaluate(r)
    local out = {}
    if rc == 0 then
      local e = r.errand
      local group = flow.text(r.group.name)
      out = { flow.text(e.host), flow.text(e.port), flow.text(C.target_uri(r)), group }
      assert.equal(0, C.target_evaluate(r)) -- once
    end
    C.req_free(r)
    return rc == 0 and out or rc
  end

  it("names an upstream, with the request's URI or its own", function()
    assert.same({ "other", "80", "/a?b", "other" }, evaluated("http://other", "/a?b"))
    assert.same({ "other", "443", "/x/1?y", "other" }, evaluated("https://$arg_u/x/$arg_n?y", "/a?u=other&n=1"))
    assert.same({ "app", "80", "/?q=1", "app" }, evaluated("http://app?q=$arg_n", "/?n=1"))
  end)

  it("names an address, with a port or the scheme's", function()
    local v4 = evaluated("http://$arg_a/", "/?a=192.0.2.1:8080")
    assert.same({ "192.0.2.1:8080", "8080", "/" }, { v4[1], v4[2], v4[3] })
    local v6 = evaluated("http://[::1]:81/x")
    assert.same({ "[::1]:81", "81", "/x" }, { v6[1], v6[2], v6[3] })
    local bare = evaluated("https://[::1]/x")
    assert.same({ "[::1]", "443", "/x" }, { bare[1], bare[2], bare[3] })
    local unix = evaluated("http://unix:/tmp/s:/x")
    assert.same({ "localhost", "/x" }, { unix[1], unix[3] })
  end)

  it("never brings bytes into the request line that may not stand there", function()
    assert.equal("/a%20b", evaluated("http://app/$arg_x b", "/?x=a")[3])
    assert.is_true(evaluated("http://app/a\nb") < 0)
  end)

  it("is an error of the gateway when it is no URL, names nobody or cannot be resolved", function()
    for _, bad in ipairs { "app", "ftp://app/", "http:///x", "http://", "http://a b/", "http://192.0.2.1:99999/" } do
      assert.is_true(tonumber(evaluated(bad)) and evaluated(bad) < 0, bad)
    end
    assert.equal(flow.E.ERR_RESOLVE, evaluated("http://nobody.example/"))
  end)

  it("tells $proxy_host: the URL's, else what the route says, else the upstream's name", function()
    local r = request("/", nil, { target = "http://192.0.2.1:8080" })
    assert.equal(0, C.target_evaluate(r))
    assert.equal("192.0.2.1:8080", flow.text(C.target_host(r)))
    r = request("/", nil, { url_host = "app:80" })
    assert.equal("app:80", flow.text(C.target_host(r)))
    r = request("/")
    assert.equal("app", flow.text(C.target_host(r)))
  end)
end)

local flow = require("spec.unit.core.flow.support")
local C, ffi, unit, net = flow.C, flow.ffi, flow.unit, flow.net

local function refused(gateway)
  local p, err = flow.plan(gateway)
  assert.is_nil(p)
  return err
end

local function site(names, label, more)
  local s = { names = names, label = label, routes = { flow.route("/*", { label = label }) } }
  for k, v in pairs(more or {}) do
    s[k] = v
  end
  return s
end

local function label_of(s)
  return s ~= nil and unit.text(s.c.label) or nil
end

describe("flow/plan", function()
  it("finds the site of a host: exact, longest wildcard, any", function()
    local p, err = flow.plan({
      listens = { { address = "127.0.0.1:1", sites = { 0, 1, 2, 3 } }, { address = "127.0.0.1:2", sites = { 0 } },
        { address = "127.0.0.1:3", sites = { 0 }, default_site = 3 } },
      sites = { site({ "A.example", "b.example" }, "ab"), site({ "*.example" }, "wild"), site({ "*.dev.example" }, "dev"),
        site({ "*" }, "any") },
    })
    assert.is_truthy(p, err)
    for host, label in pairs({
      ["a.example"] = "ab", ["b.example"] = "ab", ["c.example"] = "wild", ["x.dev.example"] = "dev", ["x.y.dev.example"] = "dev",
      ["dev.example"] = "wild", ["example"] = "any", ["other"] = "any", [""] = "any", ["..."] = "any",
    }) do
      assert.equal(label, label_of(C.plan_site(p.listens[0], unit.str(host), nil, nil)), host)
    end
    assert.is_nil(label_of(C.plan_site(p.listens[1], unit.str("other"), nil, nil)))
    assert.equal("any", label_of(C.plan_site(p.listens[2], unit.str("other"), nil, nil)))
    C.plan_unref(p)
  end)

  it("refuses a host that two sites claim, with both places", function()
    local err = refused({
      listens = { { address = "127.0.0.1:1", sites = { 0, 1 } } }, sites = { site({ "a.b" }, "f:1"), site({ "A.B" }, "f:5") },
    })
    assert.equal('f:5: host "A.B" is taken on 127.0.0.1:1 by the site at f:1', err)
  end)

  it("renders constant header fields at load", function()
    local p, err = flow.plan_of({ flow.route("/*", { response_headers = {
      { op = "set", name = "X-A", value = "1" }, { op = "add", name = "X-B", value = "$uri" }, { op = "remove", name = "Server" },
    } }) })
    assert.is_truthy(p, err)
    local ops = p.sites[0].routes[0].response_ops
    assert.equal("X-A: 1\r\n", unit.text(ops[0].prefix))
    assert.equal(0, tonumber(ops[1].prefix.n))
    assert.equal(flow.E.TOKEN_SERVER, ops[2].token)
    C.plan_unref(p)
  end)

  it("tells what is wrong with its place", function()
    local function op(name, value)
      return { sites = { site({ "*" }, "s", { routes = { flow.route("/", { label = "f:3",
        request_headers = { { name = name, value = value } } }) } }) } }
    end
    assert.equal('f:3: "X A" is not a field name', refused(op("X A", "1")))
    assert.matches("^f:3: field X%-A: line breaks and control", refused(op("X-A", "a\r\nb")))
    assert.matches("^f:3: field X%-A: unknown variable $nope", refused(op("X-A", "$nope")))
    assert.matches('^f:4: trust: "10.0.0.0/99" is not a network',
      refused({ sites = { site({ "*" }, "f:4", { trust = { "10.0.0.0/99" } }) } }))
    assert.matches("^f:5: balance by hash needs a key", refused({ upstreams = { { label = "f:5", balance = "hash" } } }))
    assert.matches("^access log /x: unknown variable", refused({ logs = { { path = "/x", format = "template", template = "$z" } } }))
    assert.matches("^listener 127.0.0.1:1: tls, but no site on it has a certificate",
      refused({ listens = { { address = "127.0.0.1:1", tls = true, sites = { 0 } } }, sites = { site({ "*" }, "s") } }))
  end)

  it("binds routes to groups and logs, and gives everything back with the last reference", function()
    local path = os.tmpname()
    local p, err = flow.plan({
      upstreams = { { name = "u", hash_key = "$uri", peers = { { address = "10.0.0.1:80" } } } },
      logs = { { path = path } },
      sites = { site({ "*" }, "s", { routes = { flow.route("/*", { action = "proxy", upstream = 0, access_logs = { 0 } }) } }) },
    })
    assert.is_truthy(p, err)
    local groups, text = C.group_set_new(net.loop(), nil), ffi.new("char[256]")
    assert.equal(0, C.plan_attach(p, groups, text, 256))
    local rt = p.sites[0].routes[0]
    assert.equal("u", unit.text(rt.group.name))
    assert.is_true(rt.logs[0] ~= nil and rt.hash_key ~= nil)
    local freed = 0
    p.on_free = net.callback("void (*)(void *)", function()
      freed = freed + 1
    end)
    C.plan_ref(p)
    C.plan_unref(p)
    assert.equal(0, freed)
    C.plan_unref(p)
    assert.equal(1, freed)
    C.group_set_free(groups)
    os.remove(path)
  end)

  it("leaves nothing behind when a log cannot be opened", function()
    local p = flow.plan({ logs = { { path = "/nowhere/at/all.log" } }, upstreams = { { name = "u", peers = {} } } })
    local groups, text = C.group_set_new(net.loop(), nil), ffi.new("char[256]")
    assert.is_true(C.plan_attach(p, groups, text, 256) < 0)
    assert.equal("access log /nowhere/at/all.log: No such file or directory", ffi.string(text))
    C.plan_unref(p)
    C.group_set_free(groups)
  end)
end)

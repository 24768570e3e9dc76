local back = require("spec.unit.core.back.support")
local C, ffi, unit, net = back.C, back.ffi, back.unit, back.net
local Dns = require("spec.unit.core.back.dns")

local function addresses(g)
  local list = {}
  local it = g.peers.next
  while it ~= g.peers do
    local p = ffi.cast("peer *", ffi.cast("char *", it) - ffi.offsetof("peer", "node"))
    list[#list + 1] = back.name(p)
    it = it.next
  end
  table.sort(list)
  return list
end

describe("back/group", function()
  it("keeps peers, health and counters of an upstream with the same name", function()
    local set = back.set(nil)
    local g = back.apply(set, { { name = "a", peers = { "10.0.0.1:80", "10.0.0.2:80" } } })[1]
    local p = back.pick(g)
    C.group_count_request(g, 1000)
    local again = back.apply(set, { { name = "a", balance = "round_robin",
      peers = { "10.0.0.3:80", { address = back.name(p), weight = 7 } } } })[1]
    assert.is_true(again == g)
    assert.equal(1, tonumber(g.requests))
    assert.equal(7, p.weight)
    assert.equal(1, back.in_flight(p))
    assert.is_false(p.gone)
    assert.same({ back.name(p), "10.0.0.3:80" }, addresses(g))
    back.finish(p)
    C.peer_unref(p)
  end)

  it("goes with its last reference", function()
    local set = back.set(nil)
    local old = back.apply(set, { { name = "a", peers = { "10.0.0.1:80" } }, { name = "b", peers = { "10.0.0.1:80" } } })
    local new = back.apply(set, { { name = "b", peers = { "10.0.0.1:80" } } })
    C.group_unref(old[1])
    C.group_unref(old[2])
    assert.equal("10.0.0.1:80", back.once(new[1]))
    local n = 0
    C.group_each(set, net.callback("void (*)(group *, void *)", function()
      n = n + 1
    end), nil)
    assert.equal(1, n)
    C.group_unref(new[1])
    C.group_set_free(set)
  end)

  it("does not depend on the configuration it came from", function()
    local set = back.set(nil)
    local c = back.flow.conf({ upstreams = { { name = "a", keepalive_requests = 7, peers = { { address = "unix:/tmp/x" } } } } })
    local out, err = ffi.new("group *[1]"), ffi.new("char[99]")
    assert.equal(0, C.group_set_apply(set, c, out, err, 99))
    C.conf_free(c)
    assert.equal(7, tonumber(out[0].conf.keepalive_requests))
    assert.equal("a", unit.text(out[0].name))
    local p = back.pick(out[0])
    assert.equal("/tmp/x", ffi.string(p.at.unix_path))
    back.done(p)
    C.group_unref(out[0])
  end)

  it("changes its tag when the TLS settings change, and only then", function()
    local set = back.set(nil)
    local function apply(more)
      local u = { name = "a", tls = true, tls_verify = false, peers = { "10.0.0.1:443" } }
      for k, v in pairs(more or {}) do
        u[k] = v
      end
      return back.apply(set, { u })[1]
    end
    local g = apply()
    local tag, tls = g.config_tag, g.tls
    assert.is_true(tls ~= nil)
    apply()
    assert.is_true(g.config_tag == tag and g.tls == tls)
    apply({ tls_verify = true })
    assert.is_false(g.config_tag == tag)
    tag = g.config_tag
    apply({ tls = false })
    assert.is_true(g.tls == nil and g.config_tag ~= tag)
  end)

  it("refuses bad TLS settings and leaves every group as it was", function()
    local set = back.set(nil)
    local g = back.apply(set, { { name = "a", peers = { "10.0.0.1:80" } } })[1]
    local c = back.flow.conf({ upstreams = { { name = "a", peers = { { address = "10.0.0.9:80" } } },
      { name = "b", tls = true, tls_ca_pem = "no certificate", peers = {} } } })
    local out, err = ffi.new("group *[2]"), ffi.new("char[256]")
    assert.equal(back.E.ERR_CONF, C.group_set_apply(set, c, out, err, 256))
    assert.not_equal("", ffi.string(err))
    assert.same({ "10.0.0.1:80" }, addresses(g))
  end)

  describe("retry budget", function()
    local function allowed(g, n, now)
      local count = 0
      for _ = 1, n do
        count = count + (C.group_may_retry(g, now) and 1 or 0)
      end
      return count
    end

    it("starts with ten and gives one a second", function()
      local g = back.group({ peers = { "10.0.0.1:80" } })
      assert.equal(10, allowed(g, 50, 1000))
      assert.equal(5, allowed(g, 50, 6000))
    end)

    it("gives a share of the requests", function()
      local g = back.group({ retry_budget = 20, peers = { "10.0.0.1:80" } })
      assert.equal(10, allowed(g, 50, 1000))
      for _ = 1, 100 do
        C.group_count_request(g, 1000)
      end
      assert.equal(20, allowed(g, 50, 1000))
    end)

    it("keeps at most a hundred, and 0 means no limit", function()
      local g = back.group({ peers = { "10.0.0.1:80" } })
      for _ = 1, 10000 do
        C.group_count_request(g, 1000)
      end
      assert.equal(100, allowed(g, 500, 1000))
      assert.equal(500, allowed(back.group({ retry_budget = 0, peers = { "10.0.0.1:80" } }), 500, 1000))
    end)
  end)

  describe("with names", function()
    local server, resolver, set

    before_each(function()
      server = Dns.new({})
      resolver = server:resolver()
      set = back.set(resolver)
    end)

    after_each(function()
      C.resolver_free(resolver)
      server:close()
    end)

    local function wait(what, fn)
      net.wait(what, function()
        server:poll()
        return fn()
      end)
    end

    it("makes a peer of every address, with the port of the configuration", function()
      server.zone["app.test"] = { "10.1.0.1", "10.1.0.2" }
      local g = back.apply(set, { { peers = { "app.test:8080", "10.0.0.1:80" } } })[1]
      assert.same({ "10.0.0.1:80" }, addresses(g))
      assert.is_true(g.unresolved)
      wait("addresses", function()
        return not g.unresolved
      end)
      assert.same({ "10.0.0.1:80", "10.1.0.1:8080", "10.1.0.2:8080" }, addresses(g))
      assert.equal("10.1.0.1:8080", back.name(C.group_pick_named(g, unit.str("app.test:8080"), 1000)))
      C.group_unref(g)
    end)

    it("starts with a name that does not exist, and finds it later", function()
      local g = back.apply(set, { { peers = { "late.test:80" } } })[1]
      assert.is_nil(back.pick(g))
      local job, woken = net.job()
      assert.is_true(C.group_wait_resolved(g, job))
      assert.is_true(C.group_wait_resolved(g, job))
      wait("the answer", function()
        return woken.n > 0
      end)
      assert.equal(1, woken.n)
      assert.is_nil(back.pick(g))
      assert.is_false(C.group_wait_resolved(g, job)) -- nothing under way: do not wait
      server.zone["late.test"] = { "10.1.0.7" }
      wait("the second look-up", function()
        return not g.unresolved
      end)
      assert.same({ "10.1.0.7:80" }, addresses(g))
      C.group_unref(g)
    end)

    it("does not wake a job that was cancelled", function()
      local g = back.apply(set, { { peers = { "x.test:80" } } })[1]
      local job, woken = net.job()
      assert.is_true(C.group_wait_resolved(g, job))
      C.group_wait_cancel(g, job)
      server.zone["x.test"] = { "10.1.0.1" }
      wait("addresses", function()
        return not g.unresolved
      end)
      assert.equal(0, woken.n)
      C.group_unref(g)
    end)

    it("follows the TTL: new addresses come, old ones go, the rest keeps its history", function()
      server.zone["app.test"] = { "10.1.0.1", "10.1.0.2", ttl = 1 }
      local g = back.apply(set, { { peers = { "app.test:80" } } })[1]
      wait("addresses", function()
        return not g.unresolved
      end)
      local stays = C.group_pick_named(g, unit.str("10.1.0.2:80"), 1000)
      local goes = C.group_pick_named(g, unit.str("10.1.0.1:80"), 1000)
      server.zone["app.test"] = { "10.1.0.2", "10.1.0.3", ttl = 1 }
      wait("the next answer", function()
        return goes.gone
      end)
      assert.same({ "10.1.0.2:80", "10.1.0.3:80" }, addresses(g))
      assert.is_false(stays.gone)
      assert.equal(1, tonumber(stays.attempts))
      back.done(stays)
      back.done(goes)
      C.group_unref(g)
    end)

    it("keeps the last good answer while DNS fails", function()
      server.zone["app.test"] = { "10.1.0.1", ttl = 1 }
      local g = back.apply(set, { { peers = { "app.test:80" } } })[1]
      wait("addresses", function()
        return not g.unresolved
      end)
      server.zone["app.test"] = nil
      local before = server.queries
      wait("another query", function()
        return server.queries > before
      end)
      net.settle()
      assert.same({ "10.1.0.1:80" }, addresses(g))
      C.group_unref(g)
    end)
  end)
end)

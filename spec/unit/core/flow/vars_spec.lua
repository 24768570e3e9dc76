--- Variables that a configuration makes of the client's address (geo) and of shares (split).
local flow = require("spec.unit.core.flow.support")
local unit, net = flow.unit, flow.net
local C = unit.use("flow/uservar.h", "flow/plan.h")

--- A plan with one variable $v.
local function plan(var)
  var.name, var.label = "v", "f.lua:3"
  return flow.plan_of({ flow.route("/*") }, nil, { vars = { var } })
end

--- The value for a request.
local function value(p, target, peer, fields)
  local r = flow.req(p, target or "/", fields)
  r.client.peer = net.addr(peer or "192.0.2.1:1000")
  r.client.addr = r.client.peer
  local text = flow.text(C.uservar_get(r, C.uservars_index(p.vars, unit.str("v"))))
  C.req_free(r)
  return text
end

describe("flow/geo", function()
  local function geo(entries, more)
    local var = { kind = "geo", entries = {}, otherwise = "none", source = "$arg_a" }
    for key, v in pairs(more or {}) do
      var[key] = v ~= "absent" and v or nil
    end
    for i, e in ipairs(entries) do
      var.entries[i] = { key = e[1], value = e[2], remove = e[2] == nil }
    end
    return plan(var)
  end

  --- expected[address] = value
  local function check(p, expected)
    for address, v in pairs(expected) do
      assert.equal(v, value(p, "/?a=" .. address), address)
    end
    C.plan_unref(p)
  end

  it("takes the smallest network around the address, in any order of the entries", function()
    local list = { { "10.1.2.3", "host" }, { "10.0.0.0/8", "ten" }, { "10.1.0.0/16", "one" }, { "10.1.2.0/24", "two" } }
    local expected = {
      ["10.0.0.0"] = "ten", ["10.255.255.255"] = "ten", ["10.1.0.0"] = "one", ["10.1.255.255"] = "one", ["10.1.2.2"] = "two",
      ["10.1.2.3"] = "host", ["10.1.2.4"] = "two", ["10.1.3.0"] = "one", ["9.255.255.255"] = "none", ["11.0.0.0"] = "none",
    }
    check(geo(list), expected)
    check(geo { list[4], list[3], list[2], list[1] }, expected)
  end)

  it("reaches both ends of the addresses", function()
    check(geo { { "0.0.0.0/1", "low" }, { "255.255.255.255", "last" } },
      { ["0.0.0.0"] = "low", ["127.255.255.255"] = "low", ["128.0.0.0"] = "none", ["255.255.255.254"] = "none",
        ["255.255.255.255"] = "last" })
    check(geo { { "0.0.0.0/0", "all" } }, { ["1.2.3.4"] = "all" })
    check(geo { { "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "last" }, { "::/1", "low" } },
      { ["::"] = "low", ["7fff::"] = "low", ["8000::"] = "none", ["ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"] = "last" })
  end)

  it("keeps IPv6 apart, but for addresses that are IPv4", function()
    local p = geo { { "2001:db8::/32", "doc" }, { "2001:db8:1::/48", "one" }, { "192.0.2.0/24", "four" } }
    check(p, {
      ["2001:db8::1"] = "doc", ["2001:db8:1::1"] = "one", ["2001:db9::"] = "none", ["::ffff:192.0.2.7"] = "four", ["192.0.2.7"] = "four",
    })
  end)

  it("believes the last of two equal networks, and takes back what is to be removed", function()
    check(geo { { "10.0.0.0/8", "a" }, { "10.0.0.0/8", "b" } }, { ["10.0.0.1"] = "b" })
    check(geo { { "10.0.0.0/8", "a" }, { "10.1.0.0/16", "b" }, { "10.1.0.0/16" } }, { ["10.1.0.1"] = "a", ["10.2.0.1"] = "a" })
  end)

  it("cuts ranges that lie in each other", function()
    local list = { { "10.0.0.0-10.2.255.255", "wide" }, { "10.1.0.5-10.1.0.9", "in" }, { "10.1.0.7-10.1.0.7", "core" } }
    local p = geo(list, { ranges = true })
    check(p, {
      ["10.0.0.0"] = "wide", ["10.2.255.255"] = "wide", ["10.3.0.0"] = "none", ["10.1.0.4"] = "wide", ["10.1.0.5"] = "in",
      ["10.1.0.7"] = "core", ["10.1.0.8"] = "in", ["10.1.0.9"] = "in", ["10.1.0.10"] = "wide",
    })
  end)

  it("looks an address up that is none as 255.255.255.255", function()
    check(geo { { "255.255.255.255", "last" }, { "10.0.0.0/8", "ten" } }, { x = "last", ["10.0.0"] = "last", [""] = "last" })
  end)

  it("takes the client's address without a source, behind trusted proxies the one they tell", function()
    local p = geo({ { "203.0.113.0/24", "test" }, { "192.0.2.0/24", "proxy" } },
      { source = "absent", proxies = { "192.0.2.0/24" }, proxy_recursive = true })
    local function via(list, peer)
      return value(p, "/", peer, list and { { "X-Forwarded-For", list } })
    end
    assert.equal("test", via(nil, "203.0.113.9:1"))
    assert.equal("proxy", via(nil))
    assert.equal("test", via("203.0.113.7"))
    assert.equal("test", via("203.0.113.7, 192.0.2.8"))
    assert.equal("none", via("203.0.113.7, 198.51.100.1"))
    assert.equal("none", via("203.0.113.7", "198.51.100.1:1"))
    C.plan_unref(p)
  end)

  it("refuses what is no network, with its place", function()
    for _, key in ipairs { "10.0.0.0/33", "x", "10.0.0", "10.0.0.0-10.0.0.1", "::/129" } do
      local p, err = geo { { key, "a" } }
      assert.is_nil(p, key)
      assert.is_truthy(err:find("f.lua:3", 1, true), err)
    end
    local p, err = geo({ { "10.0.0.9-10.0.0.1", "a" } }, { ranges = true })
    assert.is_nil(p)
    assert.is_truthy(err:find("f.lua:3", 1, true), err)
  end)
end)

describe("flow/split", function()
  local function split(shares, source)
    local entries = {}
    for i, s in ipairs(shares) do
      entries[i] = { share = s[1], value = s[2] }
    end
    return plan { kind = "split", source = source or "$arg_k", entries = entries }
  end

  it("gives each text the same value every time, in about the shares that were asked for", function()
    local p = split { { 5000, "half" }, { 1000, "tenth" }, { 0, "rest" } }
    local count = { half = 0, tenth = 0, rest = 0 }
    for i = 1, 2000 do
      local v = value(p, "/?k=" .. i)
      count[v] = count[v] + 1
      if i % 500 == 0 then
        assert.equal(v, value(p, "/?k=" .. i))
      end
    end
    assert.is_true(math.abs(count.half - 1000) < 150, count.half)
    assert.is_true(math.abs(count.tenth - 200) < 80, count.tenth)
    assert.is_true(math.abs(count.rest - 800) < 150, count.rest)
    C.plan_unref(p)
  end)

  it("deals by the hash that nginx has", function()
    -- murmur2 of "a" is 0x92685f5e, 57.2 percent of the way
    local p = split { { 5700, "below" }, { 50, "here" }, { 0, "above" } }
    assert.equal("here", value(p, "/?k=a"))
    C.plan_unref(p)
  end)

  it("gives nothing to what is in no share, everything to a whole", function()
    local p = split { { 1, "few" } }
    assert.equal("", value(p, "/?k=a"))
    C.plan_unref(p)
    p = split { { 10000, "all" } }
    assert.equal("all", value(p, "/?k=a"))
    C.plan_unref(p)
  end)

  it("refuses more than the whole", function()
    local p, err = split { { 6000, "a" }, { 4001, "b" } }
    assert.is_nil(p)
    assert.is_truthy(err:find("percent total is greater than 100%", 1, true), err)
    p = split { { 0, "a" }, { 1, "b" } }
    assert.is_nil(p)
  end)
end)

--- Option types: what they accept, what they make of it, what they say.
local t = require("moongate.schema")

local function message(type_, value, context)
  local checked, errors = type_:check(value, "", context)
  return errors and errors[1].message, checked
end

describe("a type", function()
  it("accepts its values and explains others", function()
    local cases = {
      { t.string(), "x", 5, 'must be a string, got number 5 (write "5")' },
      { t.string(1), "x", "", 'must be a string that is not empty, got ""' },
      { t.number(0, 1), 0.5, 2, "must be a number from 0 to 1, got number 2" },
      { t.number(0), 7, -1, "must be a number, 0 or more, got number -1" },
      { t.number(), 7, 0 / 0, "must be a number, got number " .. tostring(0 / 0) },
      { t.integer(0), 3, 1.5, "must be a whole number, 0 or more, got number 1.5" },
      { t.integer(0), 3, "3", 'must be a whole number, 0 or more, got "3" (write 3)' },
      { t.boolean(), false, "no", 'must be true or false, got "no"' },
      { t.enum { "a", "b" }, "a", "c", 'must be one of "a", "b", got "c"' },
      { t.func(), print, {}, "must be a function, got a table" },
      { t.template(), "$host", {}, "must be a string, $variables allowed, got a table" },
      { t.cidr(), "10.0.0.0/8", "10.0.0.0/33", 'must be a network such as "10.0.0.0/8", got "10.0.0.0/33"' },
    }
    for _, c in ipairs(cases) do
      local _, good = message(c[1], c[2])
      assert.equal(c[2], good)
      assert.equal(c[4], (message(c[1], c[3])))
    end
  end)

  it("reads durations in seconds and sizes in bytes", function()
    assert.equal(0.25, (t.duration():check("250ms")))
    assert.equal(5400, (t.duration():check("1h30m")))
    assert.equal('must be a duration such as "5s", got number 5 (write "5s")', (message(t.duration(), 5)))
    assert.is_nil((t.duration():check("5x")))
    assert.is_nil((t.duration():check("")))
    assert.equal(16384, (t.size():check("16k")))
    assert.equal(1024 ^ 3, (t.size():check("1G")))
    assert.is_nil((t.size():check("k")))
  end)

  it("reads rates", function()
    assert.same({ count = 5, seconds = 60, text = "5/m" }, (t.rate():check("5/m")))
    assert.same({ count = 1, seconds = 600, text = "1/10m" }, (t.rate():check("1/10m")))
    for _, bad in ipairs { "5", "5/", "/m", "0/s", "5/ms", "5 per m" } do
      assert.is_nil((t.rate():check(bad)), bad)
    end
  end)

  it("knows networks of both families", function()
    for _, good in ipairs { "1.2.3.4", "0.0.0.0/0", "::", "::1", "2001:db8::/32", "fe80::1", "1:2:3:4:5:6:7:8", "::ffff:1.2.3.4" } do
      assert.equal(good, (t.cidr():check(good)), good)
    end
    for _, bad in ipairs { "1.2.3", "1.2.3.256", "::1::", "1:2:3", "::1/129", "x", "", "12345::", "1:2:3:4:5:6:7:8:9", ":::" } do
      assert.is_nil((t.cidr():check(bad)), bad)
    end
  end)

  it("is optional, has a default, is missing otherwise", function()
    assert.same({ n = 0 }, { n = select("#", t.string():optional():check(nil)) - 2 })
    assert.equal(3, (t.integer():default(3):check(nil)))
    assert.equal(60, (t.duration():default("1m"):check(nil)))
    assert.equal("is missing: expected a string", (message(t.string(), nil)))
  end)

  it("asks its surroundings for upstreams and patterns", function()
    local handle = { __upstream = true, name = "a" }
    local context = {
      upstream = function(name) return name == "a" and handle or nil end,
      regex = function(p) return p ~= "(", "unmatched" end,
    }
    assert.equal(handle, (t.upstream():check("a", "", context)))
    assert.equal(handle, (t.upstream():check(handle, "", context)))
    assert.equal('must be an upstream or its name, got "b" (there is no upstream of that name)', (message(t.upstream(), "b", context)))
    assert.equal("b", (t.upstream():check("b")))
    assert.equal("x", (t.regex():check("x", "", context)))
    assert.equal('must be a regular expression, got "(" (unmatched)', (message(t.regex(), "(", context)))
  end)
end)

describe("a record", function()
  local r = t.record {
    rate = t.rate(), burst = t.integer(0):default(0), nested = t.record { a = t.number() }:optional(),
    list = t.array(t.integer()):optional(), map = t.map(t.string(), t.number()):optional(),
  }

  it("fills defaults and leaves out what is absent", function()
    local v = r:check { rate = "1/s" }
    assert.equal(0, v.burst)
    assert.is_nil(v.nested)
  end)

  it("reports everything at once, by path, with suggestions", function()
    local _, errors = r:check({ rte = 1, burst = -1, nested = { a = "x", b = 1 }, list = { 1, "two" }, map = { k = "v" } }, "options")
    local paths = {}
    for i, e in ipairs(errors) do
      paths[i] = e.path
    end
    assert.same({ "options.burst", "options.list[2]", "options.map.k", "options.nested.a", "options.nested.b", "options.rate",
      "options.rte" }, paths)
    assert.equal("unknown option 'rte'; did you mean 'rate'? (valid: burst, list, map, nested, rate)", errors[7].message)
  end)

  it("describes itself to JSON Schema and to editors", function()
    assert.same({ "rate" }, r.json.required)
    assert.is_false(r.json.additionalProperties)
    assert.equal(0, r.json.properties.burst.default)
    assert.truthy(r.lua:find("burst?: integer", 1, true))
    assert.equal("doc", t.string():doc("doc").doc_text)
  end)

  it("does not take an upstream for a table of options", function()
    local _, errors = r:check({ __upstream = true })
    assert.equal("must be a table of options, got an upstream", errors[1].message)
  end)
end)

describe("compound types", function()
  it("let one stand for a list", function()
    local a = t.array(t.string(), { lone = true, min = 1, max = 2 })
    assert.same({ "x" }, (a:check("x")))
    assert.same({ "x", "y" }, (a:check { "x", "y" }))
    assert.truthy(select(2, a:check {}))
    assert.truthy(select(2, a:check { "x", "y", "z" }))
    assert.truthy(select(2, a:check { x = "y" }))
  end)

  it("take the first type that fits, and conditions", function()
    local e = t.either { t.number(), t.boolean() }
    assert.equal(5, (e:check(5)))
    assert.is_true((e:check(true)))
    assert.equal('must be a number, or true or false, got "x"', (message(e, "x")))
    local even = t.where(t.integer(), function(v) return v % 2 == 0, "must be even" end)
    assert.equal(4, (even:check(4)))
    assert.equal("must be even", (message(even, 3)))
  end)
end)

local flow = require("spec.unit.core.flow.support")
local unit, ffi = flow.unit, flow.ffi
local C = unit.use("flow/route_nginx.h", "flow/plan.h", "flow/req.h", "base/regex.h")

--- A route from nginx's notation; `inside`: the label of the one around it.
local function location(notation, inside)
  local mode, pattern = notation:match("^(%S+) (%S+)$")
  local r = { label = notation, action = "reply", reply_status = 200, pattern = pattern or notation, inside = inside, border = false }
  if mode == "~" or mode == "~*" then
    r.match, r.caseless = "regex", mode == "~*"
  elseif mode == "=" then
    r.match = "exact"
  elseif notation:sub(1, 1) == "@" then
    r.match = "named"
  else
    r.match, r.no_regex = "prefix", mode == "^~" or nil
  end
  return r
end

local function plan_of(list)
  local routes, at = { { match = "inner", pattern = "", label = "server", action = "none" } }, {}
  for _, entry in ipairs(list) do
    local r = type(entry) == "string" and location(entry) or location(entry[1], entry.inside)
    for key, value in pairs(type(entry) == "table" and entry.more or {}) do
      r[key] = value
    end
    at[r.label] = #routes
    r.parent, r.inside = r.inside and at[r.inside] or 0, nil
    routes[#routes + 1] = r
  end
  return flow.plan_of(routes, { match = "nginx", fallback = 0 })
end

local function find(p, target)
  local r = flow.req(p, target)
  local failed = ffi.new("bool[1]")
  local rt = C.route_nginx_find(r.site.nested, r, failed)
  local label = rt ~= nil and unit.text(rt.c.label) or false
  local captures = r.captures ~= nil and r.captures.n or 0
  C.req_free(r)
  return label, captures
end

local function check(list, expected)
  local p, err = plan_of(list)
  assert.is_truthy(p, err)
  for target, label in pairs(expected) do
    assert.equal(label, (find(p, target)), target)
  end
  C.plan_unref(p)
end

describe("flow/route_nginx", function()
  it("takes an exact path before everything else", function()
    check({ "/", "~ ^/a", "= /a", "/a" }, { ["/a"] = "= /a", ["/ab"] = "~ ^/a", ["/b"] = "/" })
  end)

  it("takes the longest prefix, anywhere in a segment", function()
    check({ "/", "/foo", "/foo/", "/foobar" }, {
      ["/foo"] = "/foo", ["/foob"] = "/foo", ["/foo/x"] = "/foo/", ["/foobarbaz"] = "/foobar", ["/fo"] = "/",
    })
  end)

  it("prefers regexes in file order to a prefix", function()
    check({ "/images/", "~ \\.gif$", "~* ^/IMAGES/", "~ casefull" }, {
      ["/images/x.gif"] = "~ \\.gif$", ["/images/x"] = "~* ^/IMAGES/", ["/casefull"] = "~ casefull", ["/x"] = false,
    })
  end)

  it("asks no regex when the longest prefix says so", function()
    check({ "/", "^~ /images/", "/images/deep/", "~ \\.gif$" }, {
      ["/images/t.gif"] = "^~ /images/", ["/images/deep/t.gif"] = "~ \\.gif$", ["/t.gif"] = "~ \\.gif$",
    })
  end)

  it("searches inside a prefix, then its own regexes", function()
    check({
      "/a/", { "/a/b/", inside = "/a/" }, { "~ \\.js$", inside = "/a/" }, { "= /a/x", inside = "/a/" }, "~ \\.css$", "~ /b/",
    }, {
      ["/a/1"] = "/a/", ["/a/b/1"] = "~ /b/", ["/a/1.js"] = "~ \\.js$", ["/a/b/1.js"] = "~ \\.js$", ["/a/x"] = "= /a/x",
      ["/a/1.css"] = "~ \\.css$", ["/1.js"] = false,
    })
  end)

  it("searches inside a regex", function()
    check({ "/", "~ ^/u/", { "~ \\.png$", inside = "~ ^/u/" }, { "/u/deep/", inside = "~ ^/u/" } }, {
      ["/u/x"] = "~ ^/u/", ["/u/x.png"] = "~ \\.png$", ["/u/deep/x"] = "/u/deep/", ["/x.png"] = "/",
    })
  end)

  it("lets an outer ^~ pass over the outer regexes but not the inner ones", function()
    check({ "^~ /s/", { "~ \\.js$", inside = "^~ /s/" }, "~ \\.css$" }, {
      ["/s/1.js"] = "~ \\.js$", ["/s/1.css"] = "^~ /s/", ["/1.css"] = "~ \\.css$",
    })
  end)

  it("takes a path without its final slash for a redirect, unless a location has it", function()
    local more = { slash_redirect = true }
    check({ "/", { "/x/", more = more }, "~ ^/x" }, { ["/x"] = "/x/", ["/xy"] = "~ ^/x", ["/x/1"] = "~ ^/x" })
    check({ "/", { "/x/", more = more }, "= /x" }, { ["/x"] = "= /x" })
    check({ "/", { "/x/", more = more }, "/x" }, { ["/x"] = "/x" })
  end)

  it("does not find named routes by a path", function()
    check({ "@a", "/" }, { ["/@a"] = "/" })
  end)

  it("keeps the captures of the regex that won", function()
    local p = assert(plan_of({ "~ ^/(a)(b)?", "/" }))
    local label, n = find(p, "/ab")
    assert.same({ "~ ^/(a)(b)?", 3 }, { label, n })
    C.plan_unref(p)
  end)

  it("runs few of a thousand regexes", function()
    local list = {}
    for i = 1, 1000 do
      list[i] = ("~ ^/app%d/.*\\.js$"):format(i)
    end
    local p = assert(plan_of(list))
    local began = os.clock()
    for _ = 1, 1000 do
      assert.equal("~ ^/app1000/.*\\.js$", (find(p, "/app1000/x.js")))
    end
    assert.is_true(os.clock() - began < 0.5)
    C.plan_unref(p)
  end)
end)

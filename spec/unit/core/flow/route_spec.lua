local flow = require("spec.unit.core.flow.support")
local C, ffi, unit = flow.C, flow.ffi, flow.unit
local route = flow.route

local function routes(list)
  local out = {}
  for i, entry in ipairs(list) do
    out[i] = type(entry) == "string" and route(entry) or route(entry[1], entry[2])
    out[i].order = i
  end
  return out
end

--- Which of `list` takes each target: expected[target] = label, false for none.
local function check(list, expected)
  local p, err = flow.plan_of(routes(list))
  assert.is_truthy(p, err)
  for target, label in pairs(expected) do
    local r = flow.req(p, target)
    assert.equal(label or nil, (flow.find(r)), target)
    C.req_free(r)
  end
  C.plan_unref(p)
end

local function refused(list)
  local p, err = flow.plan_of(routes(list))
  assert.is_nil(p)
  return err
end

describe("flow/route", function()
  it("takes an exact path and nothing beside it", function()
    check({ "/", "/a", "/a/b" }, { ["/"] = "/", ["/a"] = "/a", ["/a/b"] = "/a/b", ["/a/"] = false, ["/b"] = false })
  end)

  it("takes a prefix at a segment border only", function()
    check({ "/api/*" }, {
      ["/api"] = "/api/*", ["/api/"] = "/api/*", ["/api/x/y"] = "/api/*", ["/apix"] = false, ["/"] = false,
    })
  end)

  it("takes a prefix anywhere when the border is switched off", function()
    check({ { "/api/*", { border = false } } }, { ["/apix"] = "/api/*", ["/ap"] = false })
  end)

  it("prefers the longest prefix, whatever the order", function()
    check({ "/*", "/a/b/*", "/a/*" }, {
      ["/a/b/c"] = "/a/b/*", ["/a/bc"] = "/a/*", ["/ab"] = "/*", ["/"] = "/*", ["/a"] = "/a/*",
    })
  end)

  it("falls back to a shorter prefix when the border of the longer one is missing", function()
    check({ "/*", "/app/*", "/application/*" }, { ["/applicatio"] = "/*", ["/app/x"] = "/app/*" })
  end)

  it("orders exact, segments, regex, prefix", function()
    check({ "/a/*", "~ ^/a/.*", "/a/:x", "/a/b" }, {
      ["/a/b"] = "/a/b", ["/a/c"] = "/a/:x", ["/a/c/d"] = "~ ^/a/.*", ["/a"] = "/a/*",
    })
  end)

  it("tries regexes in file order across literal beginnings", function()
    check({ "~ ^/img/", "~ \\.png$", "~ ^/i" }, {
      ["/img/x.png"] = "~ ^/img/", ["/ix.png"] = "~ \\.png$", ["/ix"] = "~ ^/i", ["/x.png"] = "~ \\.png$", ["/x"] = false,
    })
    check({ "~ \\.png$", "~ ^/img/" }, { ["/img/x.png"] = "~ \\.png$" })
  end)

  it("matches caseless regexes by their folded beginning", function()
    check({ "~* ^/Img/[a-z]+$", "~ ^/IMG/" }, {
      ["/iMG/abc"] = "~* ^/Img/[a-z]+$", ["/IMG/1"] = "~ ^/IMG/", ["/img/1"] = false,
    })
  end)

  it("does not let a dollar match before a final line feed", function()
    check({ "~ ^/admin$", "/*" }, { ["/admin%0A"] = "/*", ["/admin"] = "~ ^/admin$" })
  end)

  it("prefers more literal segments among patterns", function()
    check({ "/:a/:b", "/:a/x", "/u/:b", "/u/:b/posts" }, {
      ["/u/x"] = "/u/:b", -- as many literals: the earlier one wins
      ["/v/x"] = "/:a/x", ["/v/w"] = "/:a/:b", ["/u/1/posts"] = "/u/:b/posts", ["/u/1/other"] = false, ["/u/"] = false,
    })
    check({ "/a/:x/:y", "/:p/b/c" }, { ["/a/b/c"] = "/:p/b/c" })
  end)

  it("takes the rest with a final star, after patterns of the whole path", function()
    check({ "/u/:id/*", "/u/:id/:x" }, {
      ["/u/1"] = "/u/:id/*", ["/u/1/a"] = "/u/:id/:x", ["/u/1/a/b"] = "/u/:id/*", ["/u"] = false,
    })
  end)

  it("fills the values of named segments", function()
    local p = flow.plan_of(routes({ "/u/:id/p/:post" }))
    local r = flow.req(p, "/u/42/p/hello%20you")
    flow.find(r)
    assert.equal(2, r.nparams)
    assert.same({ "42", "hello you" }, { unit.text(r.params[0]), unit.text(r.params[1]) })
    C.req_free(r)
    C.plan_unref(p)
  end)

  it("fills the captures of a regex over the path", function()
    local p = flow.plan_of(routes({ "~ ^/(?<kind>[a-z]+)/(\\d+)?" }))
    local r = flow.req(p, "/img/17x")
    flow.find(r)
    assert.equal(3, r.captures.n)
    assert.same({ "img", "17" }, { flow.text(C.var_capture(r, 1)), flow.text(C.var_capture(r, 2)) })
    C.req_free(r)
    r = flow.req(p, "/img/x")
    flow.find(r)
    assert.is_nil(flow.text(C.var_capture(r, 2)))
    C.req_free(r)
    C.plan_unref(p)
  end)

  it("passes over a route whose methods do not fit", function()
    check({ { "/a", { methods = { "POST" }, label = "post" } }, { "/*", { label = "rest" } } }, {
      ["POST /a"] = "post", ["GET /a"] = "rest",
    })
  end)

  it("takes HEAD where GET is taken, and methods that have no number by name", function()
    check({ { "/a", { methods = { "GET" }, label = "get" } }, { "/a", { methods = { "PURGE", "BAN" }, label = "purge" } } }, {
      ["HEAD /a"] = "get", ["PURGE /a"] = "purge", ["LINK /a"] = false,
    })
  end)

  it("tells the methods of routes that only lacked the method", function()
    local p = flow.plan_of(routes({
      { "/a", { methods = { "POST", "PUT" } } }, { "/a", { methods = { "DELETE" } } }, { "/b", { methods = { "GET" } } },
    }))
    local E = flow.E
    local mask = bit.bor(bit.lshift(1, E.METHOD_POST), bit.lshift(1, E.METHOD_PUT), bit.lshift(1, E.METHOD_DELETE))
    local r = flow.req(p, "/a")
    assert.same({ nil, mask }, { flow.find(r) })
    C.req_free(r)
    r = flow.req(p, "/nothing")
    assert.same({ nil, 0 }, { flow.find(r) })
    C.req_free(r)
    C.plan_unref(p)
  end)

  it("narrows by header, query and cookie, the narrower route first", function()
    local function when(on, name, op, value)
      return { on = on, name = name, op = op, value = value or "" }
    end
    local p, err = flow.plan_of(routes({
      { "/a", { label = "plain" } },
      { "/a", { label = "beta", when = { when("header", "X-Beta", "equals", "yes") } } },
      { "/a", { label = "old", when = { when("query", "v", "regex", "^1\\.") } } },
      { "/a", { label = "both", when = { when("cookie", "sid", "present"), when("header", "X-Beta", "absent") } } },
    }))
    assert.is_truthy(p, err)
    local function with(target, fields, label)
      local r = flow.req(p, target, fields)
      assert.equal(label, (flow.find(r)))
      C.req_free(r)
    end
    with("/a", {}, "plain")
    with("/a", { { "x-beta", "no" }, { "X-BETA", "yes" } }, "beta")
    with("/a?v=1%2E2", {}, "old")
    with("/a?v=2.1", {}, "plain")
    with("/a", { { "Cookie", "a=b; sid=1" } }, "both")
    with("/a", { { "Cookie", "sid=1" }, { "x-beta", "no" } }, "plain")
    C.plan_unref(p)
  end)

  it("answers the path without its final slash for a route that redirects", function()
    check({ { "/api/*", { pattern = "/api/", border = false, slash_redirect = true } }, "~ ^/api" }, {
      ["/api"] = "/api/*", ["/api/x"] = "~ ^/api",
    })
  end)

  it("refuses two routes that nothing tells apart, with both places", function()
    local err = refused({ { "/a", { label = "f.lua:3" } }, { "/a", { label = "f.lua:9" } } })
    assert.equal('f.lua:9: route "/a" ties with the one at f.lua:3', err)
    err = refused({ { "/u/:id", { label = "f.lua:1" } }, { "/u/:name", { label = "f.lua:2" } } })
    assert.equal('f.lua:2: route "/u/:name" ties with the one at f.lua:1', err)
  end)

  it("refuses a bad regex with its place", function()
    local err = refused({ { "~ ^/a(", { label = "f.lua:3" } } })
    assert.matches("^f.lua:3: bad regex \"%^/a%(\": .* at offset 4$", err)
  end)

  it("refuses a pattern without a name after the colon, or with too many names", function()
    assert.matches("a name must follow the colon", refused({ "/u/:/x" }))
    assert.matches("more than 8", refused({ "/:a/:b/:c/:d/:e/:f/:g/:h/:i" }))
  end)

  it("finds the right one among 2,000 routes of every kind", function()
    local list, expected = {}, {}
    for i = 1, 500 do
      list[#list + 1] = "/exact/" .. i
      list[#list + 1] = "/p" .. i .. "/*"
      list[#list + 1] = "~ ^/r" .. i .. "/[a-z]+$"
      list[#list + 1] = "/s" .. i .. "/:id"
      if i % 50 == 0 then
        expected["/exact/" .. i] = "/exact/" .. i
        expected["/p" .. i .. "/x"] = "/p" .. i .. "/*"
        expected["/r" .. i .. "/abc"] = "~ ^/r" .. i .. "/[a-z]+$"
        expected["/r" .. i .. "/123"] = false
        expected["/s" .. i .. "/7"] = "/s" .. i .. "/:id"
      end
    end
    check(list, expected)
  end)

  it("stays sane on any bytes after the slash", function()
    local p = flow.plan_of(routes({ "/*", "/a/:b/c", "~ ^/a/", "/\xff/*" }))
    local r = flow.req(p, "/")
    for seed = 1, 300 do
      math.randomseed(seed)
      local bytes = { "/" }
      for i = 2, math.random(1, 40) do
        bytes[i] = string.char(({ 47, 97, 98, 99, 255, 1 })[math.random(6)])
      end
      local path = table.concat(bytes)
      r.path = C.pool_dup(r.pool, unit.str(path))
      assert.is_string((flow.find(r)))
    end
    C.req_free(r)
    C.plan_unref(p)
    assert.is_truthy(ffi)
  end)
end)

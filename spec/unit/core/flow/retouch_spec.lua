--- Location, Refresh and Set-Cookie on their way to the client.
local flow = require("spec.unit.core.flow.support")
local unit = flow.unit
local C = unit.use("flow/retouch.h", "flow/plan.h", "flow/exchange_impl.h", "http/headers.h")

--- What becomes of fields of an answer: { {name, value}, … }, values in the same order.
---@param exchange table  redirects and cookies of the route
---@param fields string[][]
---@param more? { target?: string, host?: string, route?: table }
local function retouched(exchange, fields, more)
  more = more or {}
  local rt = flow.route("/*", more.route)
  rt.exchange = { exchange }
  local p = assert(flow.plan_of({ rt }))
  local r = flow.req(p, more.target or "/", { { "Host", more.host or "site.example" } })
  r.route = p.sites[0].routes
  C.msg_init(r.res, r.pool)
  for _, f in ipairs(fields) do
    assert(C.headers_add(r.res.h, unit.str(flow.keep(f[1])), unit.str(flow.keep(f[2]))) == 0)
  end
  C.retouch_apply(r.route.exchange.retouch, r)
  local out = {}
  for i = 0, #fields - 1 do
    out[i + 1] = flow.text(r.res.h.v[i].value)
  end
  C.req_free(r)
  return unpack(out)
end

local function location(redirects, value, more)
  return (retouched({ redirects = redirects }, { { "Location", value } }, more))
end

local function cookie(rules, value, more)
  return (retouched({ cookies = rules }, { { "Set-Cookie", value } }, more))
end

describe("flow/retouch: Location", function()
  local rules = {
    { from = "http://origin/", to = "/app/" }, { from = "^http://([^/]+)(:\\d+)?/(.*)$", to = "https://$1/$3", is_regex = true },
  }

  it("is changed by the first rule that fits", function()
    assert.equal("/app/x?y", location(rules, "http://origin/x?y"))
    assert.equal("https://other/x", location(rules, "http://other/x"))
    assert.equal("https://other:1/x", location({ rules[2] }, "http://other:1/x"))
    assert.equal("ftp://other/", location(rules, "ftp://other/"))
    assert.equal("http://Origin/x", location({ rules[1] }, "http://Origin/x"))
    assert.equal("b", location({ { from = "^A", to = "b", is_regex = true, caseless = true } }, "ac"))
  end)

  it("may be made of the request's values", function()
    local own = { { from = "http://$arg_of/", to = "http://$host/" } }
    assert.equal("http://site.example/x", location(own, "http://o/x", { target = "/?of=o" }))
  end)

  it("becomes a URL again where ours do", function()
    local more = { route = { absolute_redirect = true, port_in_redirect = false } }
    assert.equal("http://site.example/app/x", location({ rules[1] }, "http://origin/x", more))
    assert.equal("ftp://other/", location({ rules[1] }, "ftp://other/", more))
  end)

  it("never gets bytes that may not stand in a field", function()
    local dirty = { { from = "http://origin/", to = "/$arg_a" } }
    assert.equal("/x", location(dirty, "http://origin/", { target = "/?a=x" }))
    local r = location({ { from = "^(.*)$", to = "a\nb", is_regex = true } }, "http://origin/")
    assert.equal("http://origin/", r)
  end)

  it("in Refresh it is what stands behind url=", function()
    local function refresh(value)
      return (retouched({ redirects = rules }, { { "Refresh", value } }))
    end
    assert.equal("5; URL=/app/x", refresh("5; URL=http://origin/x"))
    assert.equal("5; http://origin/x", refresh("5; http://origin/x"))
    assert.equal("5", refresh("5"))
  end)
end)

describe("flow/retouch: Set-Cookie", function()
  local function rule(part, from, to, is_regex)
    return { part = part, from = from, to = to, is_regex = is_regex }
  end

  it("gets another domain, with the dot that stood there", function()
    local rules = { rule("domain", "origin", "site.example"), rule("domain", "^.*\\.(\\w+)$", "$1.example", true) }
    assert.equal("a=1; Domain=site.example; Secure", cookie(rules, "a=1; Domain=origin; Secure"))
    assert.equal("a=1; domain=.site.example", cookie(rules, "a=1;domain=.ORIGIN"))
    assert.equal("a=1; Domain=y.example", cookie(rules, "a=1; Domain=x.y"))
    assert.equal("a=1; Domain", cookie(rules, "a=1; Domain"))
  end)

  it("gets another path: the beginning is replaced", function()
    local rules = { rule("path", "/app/", "/"), rule("path", "^/old(.*)$", "/new$1", true) }
    assert.equal("a=1; path=/x", cookie(rules, "a=1; path=/app/x"))
    assert.equal("a=1; Path=/new/x", cookie(rules, "a=1; Path=/old/x"))
    assert.equal("a=1; path=/App/x", cookie(rules, "a=1; path=/App/x"))
  end)

  it("is left alone, byte for byte, when no rule fits", function()
    local rules = { rule("path", "/app/", "/"), rule("flags", "b", "secure") }
    for _, value in ipairs { "a=1;path=/x ;  Secure", "a=path=/app/x", "b", "", "=", "a=1;" .. ("x;"):rep(60) } do
      assert.equal(value, cookie(rules, value))
    end
  end)

  it("keeps its name, its value and what no rule is about", function()
    local rules = { rule("path", "/", "/z/"), rule("flags", "a", "secure samesite=lax") }
    assert.equal('a="x y"=; Max-Age=3; Path=/z/; Expires=Fri, 01 Jan 2027 00:00:00 GMT; Secure; SameSite=Lax',
      cookie(rules, 'a="x y"=; Max-Age=3; Path=/;Expires=Fri, 01 Jan 2027 00:00:00 GMT'))
  end)

  it("gets flags and loses them, by name or by pattern", function()
    assert.equal("a=1; Secure; HttpOnly", cookie({ rule("flags", "a", "secure httponly") }, "a=1"))
    assert.equal("a=1; secure", cookie({ rule("flags", "A", "secure") }, "a=1; secure"))
    local none = { rule("flags", "^a", "nosecure nohttponly nosamesite", true) }
    assert.equal("a=1", cookie(none, "a=1; Secure; HttpOnly; SameSite=Lax; secure"))
    assert.equal("a=1; SameSite=None", cookie({ rule("flags", "a", "samesite=none") }, "a=1; SameSite=Lax"))
  end)

  it("has a flag once, as the last word about it says", function()
    local rules = { rule("flags", "a", "$arg_flags") }
    local function flags(words, value)
      return cookie(rules, value, { target = "/?flags=" .. words })
    end
    assert.equal("a=1; SameSite=Strict", cookie({ rule("flags", "a", "samesite=strict") }, "a=1; SameSite=Lax; SameSite=None"))
    assert.equal("a=1", cookie({ rule("flags", "a", "secure nosecure") }, "a=1"))
    assert.equal("a=1; Secure", flags("secure", "a=1; Secure; Secure"))
  end)

  it("takes any number of words, with as many attributes as a cookie may have here", function()
    local words = ("secure nosecure "):rep(50) .. "secure httponly samesite=lax"
    local attributes = ("; x"):rep(28)
    local rules = { rule("flags", "a", words) }
    assert.equal("a=1" .. attributes .. "; Secure; HttpOnly; SameSite=Lax", cookie(rules, "a=1" .. attributes))
    assert.equal("a=1" .. attributes .. "; x", cookie(rules, "a=1" .. attributes .. "; x"))
  end)

  it("evaluates every one of several", function()
    local fields = { { "Set-Cookie", "a=1; path=/a" }, { "Set-Cookie", "b=1; path=/a/c" } }
    local a, b = retouched({ cookies = { rule("path", "/a", "/b") } }, fields)
    assert.same({ "a=1; path=/b", "b=1; path=/b/c" }, { a, b })
  end)
end)

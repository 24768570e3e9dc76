local flow = require("spec.unit.core.flow.support")
local C, ffi, unit = flow.C, flow.ffi, flow.unit

local scratch = flow.keep(ffi.new("pool"))
C.pool_init(scratch, 4096)

local function compile(text)
  local err = ffi.new("char[256]")
  local t = C.tmpl_compile(unit.str(text), scratch, err, 256)
  return t ~= nil and t or nil, ffi.string(err)
end

describe("flow/tmpl", function()
  local p, r

  before_each(function()
    p = assert(flow.plan_of({ flow.route("/*") }))
    r = flow.req(p, "/a?x=1", { { "X-Key", "k1" } })
  end)

  after_each(function()
    C.req_free(r)
    C.plan_unref(p)
  end)

  local function eval(text)
    local t, err = compile(text)
    assert.is_truthy(t, err)
    return unit.text(C.tmpl_eval(t, r))
  end

  it("replaces variables, in braces or not", function()
    for text, value in pairs({
      ["$uri"] = "/a", ["${uri}b"] = "/ab", ["[$uri?$args]"] = "[/a?x=1]", ["$http_x_key-$arg_x"] = "k1-1", [""] = "",
      ["plain"] = "plain", ["$http_none"] = "", ["a$http_none."] = "a.", ["$$5 and $$"] = "$5 and $",
      ["$scheme://$http_x_key$request_uri"] = "http://k1/a?x=1",
    }) do
      assert.equal(value, eval(text), text)
    end
  end)

  it("knows a constant from a template", function()
    for text, constant in pairs({ ["a$$b$$"] = "a$b$", ["x"] = "x", [""] = "" }) do
      local t = compile(text)
      assert.is_true(C.tmpl_is_constant(t))
      assert.equal(constant, unit.text(C.tmpl_constant(t)))
    end
    assert.is_false(C.tmpl_is_constant((compile("a$uri"))))
  end)

  it("tells what is wrong and where", function()
    for text, message in pairs({
      ["a $nope b"] = "unknown variable $nope at position 3 of \"a $nope b\"",
      ["${uri"] = "the closing brace is missing at position 1 of \"${uri\"",
      ["cost: $"] = "a name must follow the dollar sign (write $$ for the sign itself) at position 7 of \"cost: $\"",
      ["${}"] = "a name must follow the dollar sign (write $$ for the sign itself) at position 1 of \"${}\"",
    }) do
      local t, err = compile(text)
      assert.is_nil(t)
      assert.equal(message, err)
    end
    assert.matches("too many parts", select(2, compile(("$uri-"):rep(600))))
  end)

  it("knows the captures and parameters of its route", function()
    local function answer(notation, body, target)
      local plan, err = flow.plan_of({ flow.route(notation, { reply_body = body }) })
      if not plan then
        return nil, err
      end
      local req = flow.req(plan, target)
      flow.find(req)
      local text = unit.text(C.tmpl_eval(req.route.reply_body, req))
      C.req_free(req)
      C.plan_unref(plan)
      return text
    end
    assert.equal("img 7 70", answer("~ ^/(?<kind>[a-z]+)/(\\d)", "$kind $2 $20", "/img/7"))
    assert.equal("42+x", answer("/u/:id/:what", "$id+$what", "/u/42/x"))
    assert.equal("/a: reply body: unknown variable $kind at position 1 of \"$kind\"", select(2, answer("/a", "$kind", "/a")))
  end)
end)

--- Sub-requests without a client around them: the parent stands still, its job counts how often it is told something.
local flow = require("spec.unit.core.flow.support")
local unit, ffi, net, E = flow.unit, flow.ffi, flow.net, flow.E
local C = unit.use("flow/subreq.h", "flow/plan.h", "base/slice.h")

local function dup(r, text)
  return C.pool_dup(r.pool, unit.str(text))
end

describe("flow/subreq", function()
  local p, parent, parent_run, active
  local told = { n = 0 }
  local count = net.callback("void (*)(job *)", function()
    told.n = told.n + 1
  end)

  before_each(function()
    local routes = {
      flow.route("/hello", { reply_status = 201, reply_body = "$request_method $uri?$args $http_x_a" }),
      flow.route("/empty", { reply_status = 204 }),
      flow.route("/long", { reply_body = ("x"):rep(1000) }),
      flow.route("/inner", { internal = true, reply_body = "inside $request_uri" }),
    }
    p = assert(flow.plan_of(routes))
    local err = ffi.new("char[256]")
    assert(C.plan_attach(p, C.group_set_new(net.loop(), nil), err, 256) == 0, ffi.string(err))
    active = tonumber(C.req_count())
    parent = flow.req(p, "POST /main?n=1", { { "Host", "a.example" }, { "X-A", "kept" } })
    told.n = 0
    parent_run = parent.job.run
    parent.job.run = count
  end)

  --- A request is used again, with the job it has.
  local function forget_parent()
    if parent then
      parent.job.run = parent_run
      C.req_free(parent)
      parent = nil
    end
  end

  after_each(function()
    forget_parent()
    net.settle()
    assert.equal(active, tonumber(C.req_count()))
    C.plan_unref(p)
  end)

  --- Starts one; the handle, or nil and the code.
  local function start(path, more)
    local a = ffi.new("struct subreq_args")
    a.path, a.sink, a.limit = dup(parent, path), E.SUBREQ_QUEUE, 4096
    for key, value in pairs(more or {}) do
      a[key] = type(value) == "string" and dup(parent, value) or value
    end
    local out = ffi.new("subreq *[1]")
    local rc = C.subreq_start(parent, a, out)
    return rc == 0 and out[0] or nil, rc
  end

  local function finish(s)
    net.wait("the sub-request", function()
      return C.subreq_is_over(s)
    end)
  end

  --- What came of its body so far.
  local function taken(s)
    local q = ffi.new("bufq", { cap = 1 }) -- as bufq_init leaves it
    C.subreq_take(s, q)
    local n = tonumber(q.bytes)
    local text = ffi.new("char[?]", n + 1)
    C.bufq_peek(q, text, n)
    C.bufq_reset(q)
    return ffi.string(text, n)
  end

  it("asks a route of its parent's site, with GET and the parent's fields", function()
    local s = start("/hello", { query = "q=2" })
    assert.equal(0, C.subreq_status(s))
    assert.is_false(C.subreq_is_over(s))
    finish(s)
    assert.equal(201, C.subreq_status(s))
    assert.is_true(C.subreq_is_complete(s))
    assert.equal("GET /hello?q=2 kept", taken(s))
    assert.is_true(told.n > 0)
  end)

  it("has its parent's method when it is told to", function()
    local s = start("/hello", { like_parent = true })
    finish(s)
    assert.equal("POST /hello? kept", taken(s))
  end)

  it("may take routes for internal use; $request_uri is the parent's", function()
    local s = start("/inner")
    finish(s)
    assert.equal("inside /main?n=1", taken(s))
  end)

  it("is complete without a body", function()
    local s = start("/empty")
    finish(s)
    assert.equal(204, C.subreq_status(s))
    assert.is_true(C.subreq_is_complete(s))
    assert.equal("", taken(s))
  end)

  it("tells of a route that is not there like any answer", function()
    local s = start("/none")
    finish(s)
    assert.equal(404, C.subreq_status(s))
  end)

  it("shows its head to the parent once, before anything of its body", function()
    local seen = {}
    local on_head = net.callback("void (*)(req *, req *, void *)", function(of, sub)
      seen[#seen + 1] = { of == parent, sub.res.status, flow.text(sub.path) }
    end)
    local s = start("/hello", { on_head = on_head })
    finish(s)
    assert.same({ { true, 201, "/hello" } }, seen)
  end)

  it("cuts an answer that is dropped beyond its limit", function()
    local s = start("/long", { sink = E.SUBREQ_DROP, limit = 999 })
    finish(s)
    assert.equal(200, C.subreq_status(s))
    assert.is_false(C.subreq_is_complete(s))
    s = start("/long", { sink = E.SUBREQ_DROP, limit = 1000 })
    finish(s)
    assert.is_true(C.subreq_is_complete(s))
  end)

  it("ends when it is cancelled, and when its parent is gone", function()
    local s = start("/hello")
    C.subreq_cancel(s)
    assert.is_true(C.subreq_is_over(s))
    net.settle()
    assert.is_false(C.subreq_is_complete(s))
    assert.equal(active + 1, tonumber(C.req_count()))
    start("/hello")
    forget_parent()
    net.wait("its end", function()
      return tonumber(C.req_count()) == active
    end)
  end)

  it("goes on without its parent when it is detached", function()
    local a = ffi.new("struct subreq_args")
    a.path, a.detached, a.sink, a.limit = dup(parent, "/hello"), true, E.SUBREQ_DROP, 4096
    assert.equal(0, C.subreq_start(parent, a, nil))
    forget_parent()
    assert.equal(active + 1, tonumber(C.req_count()))
    net.wait("its end", function()
      return tonumber(C.req_count()) == active
    end)
  end)

  it("belongs to the request that it all began with", function()
    assert.equal(parent.id, C.subreq_main_id(parent))
    local same
    local s = start("/hello", { on_head = net.callback("void (*)(req *, req *, void *)", function(_, sub)
      same = C.subreq_main_id(sub) == parent.id
    end) })
    finish(s)
    assert.is_true(same)
  end)
end)

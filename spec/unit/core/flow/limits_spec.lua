--- The limit step: rates and concurrency of a route, without a process around it; zones are made here, and the clock stands.
local flow = require("spec.unit.core.flow.support")
local helper = require("spec.unit.core.shm.helper")
local unit, E = flow.unit, flow.E
local C = unit.use("flow/guard.h", "flow/steps.h", "flow/plan.h", "shm/seg.h", "shm/limit.h", "base/clock.h")

local JUMP_REPLY = 0x100 + E.STEP_REPLY

describe("flow/limits", function()
  local now

  before_each(function()
    now = 1000000
    C.clock_freeze(now, 1800000000000LL)
  end)

  teardown(function()
    C.clock_freeze(0, 0)
  end)

  local function pass(ms)
    now = now + ms
    C.clock_freeze(now, 1800000000000LL + now)
  end

  --- A plan whose only route has these limits, each over a zone of its own kind; zones of the same name are one.
  local function plan(limits)
    local zones, index = {}, {}
    for _, l in ipairs(limits) do
      local name = (l.kind or "rate") .. (l.zone or "")
      if not index[name] then
        zones[#zones + 1] = { name = name, kind = l.kind or "rate", size = 65536 }
        index[name] = #zones - 1
      end
      l.zone = index[name]
    end
    local p = assert(flow.plan_of({ flow.route("/*", { guard = { { limits = limits } } }) }, nil, { zones = zones }))
    for i, zone in ipairs(zones) do
      if zone.kind == "rate" then
        p.zones[i - 1].rates = helper.open(C, 65536, "limit", C.limit_open)
      else
        p.zones[i - 1].conns = helper.open(C, 65536, "limit_conn", C.limit_conn_open, 2)
      end
    end
    return p
  end

  local function request(p, target)
    local r = flow.req(p, target or "/")
    r.route, r.step = p.sites[0].routes, E.STEP_LIMIT
    return r
  end

  local words = { [E.STEP_NEXT] = "pass", [E.STEP_WAIT_HERE] = "wait", [JUMP_REPLY] = "refused" }

  --- What becomes of a request, which stays alive.
  local function step(r)
    local rc = C.step_limit(r)
    return words[rc] or rc
  end

  --- What becomes of one request after the other.
  local function run(p, n, target)
    local out = {}
    for i = 1, n do
      local r = request(p, target)
      out[i] = step(r)
      C.req_free(r)
    end
    return table.concat(out, " ")
  end

  it("refuses what comes faster than the rate and its burst", function()
    local p = plan { { key = "k", rate = 1000, burst = 2, delay = -1 } }
    assert.equal("pass pass pass refused", run(p, 4))
    pass(1000)
    assert.equal("pass refused", run(p, 2))
    pass(3000)
    assert.equal("pass pass pass refused", run(p, 4))
  end)

  it("lets nobody wait without a burst", function()
    assert.equal("pass refused", run(plan { { key = "k", rate = 1000 } }, 2))
  end)

  it("counts each key apart, and none that is empty or too long", function()
    local p = plan { { key = "$arg_k", rate = 1000 } }
    assert.equal("pass refused", run(p, 2, "/?k=a"))
    assert.equal("pass refused", run(p, 2, "/?k=b"))
    assert.equal("pass pass pass", run(p, 3, "/"))
    assert.equal("pass pass", run(p, 2, "/?k=" .. ("x"):rep(65536)))
  end)

  it("makes a request wait for its turn, and counts it once", function()
    local p = plan { { key = "k", rate = 1000, burst = 2, delay = 1 } }
    assert.equal("pass pass", run(p, 2)) -- the second is one ahead: that is free
    local r = request(p)
    assert.equal("wait", step(r))
    assert.equal(E.REQ_WAIT_TURN, r.wait)
    assert.equal(E.GUARD_DELAYED, r.guard.rate_status)
    assert.equal("wait", step(r)) -- woken by something else
    r.timed_out = true
    assert.equal("pass", step(r))
    assert.equal("pass", step(r)) -- routed anew
    C.req_free(r)
    assert.equal("refused", run(p, 1))
  end)

  it("ends a request whose whole time is over while it waits", function()
    local p = plan { { key = "k", rate = 1000, burst = 1 } }
    assert.equal("pass", run(p, 1))
    local r = request(p)
    assert.equal("wait", step(r))
    r.timed_out, r.total_expired = true, true
    assert.equal(E.ERR_TIMEOUT, step(r))
    C.req_free(r)
  end)

  it("counts in no zone when one of several refuses", function()
    local p = plan { { key = "$arg_a", rate = 1000, burst = 5, delay = -1, zone = "a" }, { key = "$arg_b", rate = 1000, zone = "b" } }
    assert.equal("pass refused refused refused", run(p, 4, "/?a=1&b=1"))
    local all = {}
    for i = 1, 6 do -- six are left of a: one was counted
      all[i] = run(p, 1, "/?a=1&b=x" .. i)
    end
    assert.equal("pass pass pass pass pass refused", table.concat(all, " "))
  end)

  it("waits for the longest of several delays", function()
    local p = plan { { key = "a", rate = 10000, burst = 9, zone = "a" }, { key = "b", rate = 1000, burst = 9, zone = "b" } }
    assert.equal("pass", run(p, 1))
    local r = request(p)
    assert.equal("wait", step(r))
    assert.equal(1000, tonumber(r.timer.deadline_ms) - now)
    C.req_free(r)
  end)

  it("refuses nobody in a dry run, and says what it would have done", function()
    local p = plan { { key = "k", rate = 1000, dry_run = true } }
    assert.equal("pass", run(p, 1))
    local r = request(p)
    assert.equal("pass", step(r))
    assert.equal(E.GUARD_REJECTED_DRY_RUN, r.guard.rate_status)
    C.req_free(r)
  end)

  it("answers with the status of the limit, and when to come again if told to", function()
    local p = plan { { key = "k", rate = 100, status = 429, retry_after = true } }
    assert.equal("pass", run(p, 1))
    pass(2500)
    local r = request(p)
    assert.equal("refused", step(r))
    assert.equal(429, r.res.status)
    assert.equal("8", flow.text(C.headers_get(r.res.h, unit.str("Retry-After")).value)) -- 7.5 s, rounded up
    C.req_free(r)
    p = plan { { key = "k", rate = 1000 } }
    run(p, 1)
    r = request(p)
    assert.equal("refused", step(r))
    assert.equal(503, r.res.status)
    assert.is_true(C.headers_get(r.res.h, unit.str("Retry-After")) == nil)
    C.req_free(r)
  end)

  it("holds a place of a limit of concurrency until the request is over", function()
    local p = plan { { kind = "conn", key = "$arg_k", most = 2 } }
    local a, b, c = request(p, "/?k=1"), request(p, "/?k=1"), request(p, "/?k=1")
    assert.same({ "pass", "pass", "refused" }, { step(a), step(b), step(c) })
    assert.equal("pass", step(a)) -- it has its place
    assert.equal("pass", run(p, 1, "/?k=2"))
    C.req_free(a)
    assert.equal("pass", run(p, 1, "/?k=1"))
    C.req_free(b)
    C.req_free(c)
    assert.equal("pass pass pass", run(p, 3, "/?k=1"))
  end)

  it("lets go of the places that it took when another limit refuses", function()
    local p = plan { { kind = "conn", key = "$arg_a", most = 1, zone = "a" }, { kind = "conn", key = "$arg_b", most = 1, zone = "b" } }
    local held = request(p, "/?b=1")
    assert.equal("pass", step(held))
    local r = request(p, "/?a=1&b=1")
    assert.equal("refused", step(r))
    assert.equal("pass", run(p, 1, "/?a=1&b=2"))
    C.req_free(r)
    C.req_free(held)
  end)

  it("asks concurrency only when the rate let it pass", function()
    local p = plan { { key = "k", rate = 1000 }, { kind = "conn", key = "k", most = 1 } }
    local a, b = request(p), request(p)
    assert.equal("pass", step(a))
    assert.equal("refused", step(b))
    assert.equal(0, b.guard.conn_status)
    C.req_free(a)
    C.req_free(b)
  end)
end)

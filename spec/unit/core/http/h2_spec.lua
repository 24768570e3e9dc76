--- HTTP/2 below the session: header blocks become messages; what a peer may cost.
local http = require("spec.unit.core.http.support")
local unit = require("spec.support.unit")
local C, ffi = unit.use("http/h2_block.h", "http/h2_budget.h", "base/clock.h", "base/err.h"), http.ffi

local function request(fields, ended)
  local m, b = ffi.new("msg"), ffi.new("h2_block")
  local pool, lim = http.pool(), http.limits {}
  C.msg_init(m, pool)
  C.h2_block_init(b, m, lim)
  for _, f in ipairs(fields) do
    C.h2_block_add(b, http.str(f[1]), http.str(f[2]), false)
  end
  return tonumber(C.h2_block_request(b, ended ~= false)), m, { b, pool, lim }
end

local function get(...)
  return { { ":method", "GET" }, { ":scheme", "https" }, { ":path", "/p" }, { ":authority", "A.example:81" }, ... }
end

describe("a header block", function()
  it("becomes a message like one of HTTP/1", function()
    local rc, m = request(get { "x", " v " })
    assert.equal(0, rc)
    assert.equal("/p", http.text(m.target))
    assert.equal("a.example", http.text(m.host))
    assert.equal(81, m.port)
    assert.equal(20, m.version)
    assert.equal("v", http.text(C.headers_get(m.h, http.str("x")).value))
  end)

  it("has a body of the length it says, or an open one", function()
    local _, m = request(get { "content-length", "5" }, false)
    assert.equal(5, tonumber(m.length))
    _, m = request(get(), false)
    assert.equal(tonumber(C.MSG_BODY_CHUNKED), m.body)
    assert.is_true((request(get { "content-length", "5" })) < 0)
    assert.equal(0, (request(get { "content-length", "0" })))
  end)

  it("joins cookies", function()
    local _, m = request(get({ "cookie", "a=1" }, { "x", "1" }, { "cookie", "b=2" }, { "cookie", "c=3" }))
    assert.equal("a=1; b=2; c=3", http.text(C.headers_get(m.h, http.str("cookie")).value))
  end)
end)

describe("a peer's budget", function()
  local function budget()
    local b = ffi.new("h2_budget")
    C.h2_budget_init(b, 100)
    return b
  end

  local function spend(b, what)
    local n = 0
    while n < 100000 and C.h2_budget_spend(b, what) do
      n = n + 1
    end
    return n
  end

  it("is larger for who does work", function()
    local b = budget()
    assert.equal(200, spend(b, C.H2_COST_RESET))
    local idle, busy = budget(), budget()
    for _ = 1, 1000 do
      C.h2_budget_data(busy)
    end
    assert.is_true(spend(busy, C.H2_COST_WINDOW) > spend(idle, C.H2_COST_WINDOW))
  end)

  it("asks for payload in what moves", function()
    local b = budget()
    assert.is_true(C.h2_budget_bytes(b, 8 * 1024 * 1024, 0))
    assert.is_false(C.h2_budget_bytes(b, 64, 0))
    assert.is_true(C.h2_budget_bytes(b, 64, 64 * 1024))
  end)
end)

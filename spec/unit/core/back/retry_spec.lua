local back = require("spec.unit.core.back.support")
local C, ffi, E = back.C, back.ffi, back.E

--- One row: what happened, over a plain first GET attempt that was connected and sent, and the verdict.
local defaults = { method = "GET", err = "UPSTREAM_CLOSED", connected = true, sent = true, body_replayable = true, attempts = 1 }

local function decide(row)
  local f, r = ffi.new("struct retry_facts"), ffi.new("struct conf_route")
  C.conf_defaults(C.CONF_KIND_route, r)
  for key, value in pairs(row.route or {}) do
    r[key] = value
  end
  local facts = {}
  for key, value in pairs(defaults) do
    facts[key] = value
  end
  for key, value in pairs(row) do
    if key ~= "route" and key ~= 1 and key ~= 2 then
      facts[key] = value
    end
  end
  facts.method, facts.err = E["METHOD_" .. facts.method], facts.err == "" and 0 or E["ERR_" .. facts.err]
  for key, value in pairs(facts) do
    f[key] = value
  end
  local verdict = tonumber(C.retry_decide(r, f))
  return ({ [0] = "no", "same", "next" })[verdict]
end

local rows = {
  { "a refused connection moves on", "next", err = "REFUSED", connected = false, sent = false },
  { "a refused connection moves on for POST too", "next", method = "POST", err = "REFUSED", connected = false, sent = false },
  { "a connect timeout moves on", "next", err = "TIMEOUT", connected = false, sent = false },
  { "no more attempts than tries", "no", err = "REFUSED", connected = false, sent = false, attempts = 2 },
  { "as many as tries says", "next", err = "REFUSED", connected = false, sent = false, attempts = 2, route = { tries = 3 } },
  { "tries = 1 never repeats", "no", err = "REFUSED", connected = false, sent = false, route = { tries = 1 } },
  { "a body that is gone cannot be sent again", "no", err = "REFUSED", connected = false, sent = false, body_replayable = false },
  { "GET without an answer moves on", "next" },
  { "POST that was sent stays", "no", method = "POST" },
  { "POST that was sent moves on when the route says so", "next", method = "POST", route = { retry_non_idempotent = true } },
  { "POST of which nothing was sent moves on", "next", method = "POST", sent = false },
  { "PUT and DELETE are idempotent", "next", method = "DELETE" },
  { "PATCH is not", "no", method = "PATCH" },
  { "an answer that began is not repeated", "no", got_bytes = true },
  { "a stale pooled connection is opened anew", "same", reused = true },
  { "a stale pooled connection counts as no attempt", "same", reused = true, attempts = 2 },
  { "a stale pooled connection is not repeated for POST", "no", reused = true, method = "POST" },
  { "a reset of a pooled connection is stale too", "same", reused = true, err = "RESET" },
  { "stale connections without end give up", "no", reused = true, stale_retries = 3 },
  { "a pooled connection that answered a byte was not stale", "no", reused = true, got_bytes = true },
  { "a timeout on a pooled connection is a failure", "next", reused = true, err = "TIMEOUT" },
  { "a timeout is final when the route says so", "no", err = "TIMEOUT", route = { retry_timeout = false } },
  { "a listed status moves on", "next", err = "", status = 503, got_bytes = true },
  { "a listed status stays for POST", "no", method = "POST", err = "", status = 503, got_bytes = true },
  { "a client that left ends it", "no", err = "CLIENT_GONE" },
  { "a client that was too slow ends it", "no", err = "CLIENT_TIMEOUT" },
  { "a body that is too large ends it", "no", err = "BODY_TOO_LARGE" },
  { "a failed handshake moves on", "next", err = "TLS", connected = false, sent = false },
}

describe("back/retry", function()
  for _, row in ipairs(rows) do
    it(row[1], function()
      assert.equal(row[2], decide(row))
    end)
  end

  it("reads listed statuses as numbers and classes", function()
    local list = ffi.new("str[3]", { back.unit.str("500"), back.unit.str("52x"), back.unit.str("4xx") })
    local strs = ffi.new("struct conf_strs", { v = list, n = 3 })
    for status, listed in pairs({ [500] = true, [501] = false, [521] = true, [531] = false, [404] = true, [200] = false }) do
      assert.equal(listed, C.retry_status_listed(strs, status), status)
    end
  end)
end)

--- rate_limit: answers 429 to clients that ask too often; counted in shared memory, over all workers and reloads.
local mg = require "moongate"
local t = mg.schema

---@class RateLimitOptions
---@field rate table           "5/m"
---@field burst integer        requests that may come early
---@field by string            what is counted: "client_ip", or a text with $variables
---@field name string|nil      limits of one name share their counters
---@field status integer
---@field delay boolean        early requests wait instead of passing at once
---@field report boolean       RateLimit-* fields on answers

--- The function that gives a request's key.
local function key_of(by)
  if by == "client_ip" then
    return function(req)
      return req.client_ip
    end
  end
  local template = mg.template(by)
  return function()
    return template:render()
  end
end

return mg.policy {
  name = "rate_limit",
  doc = "Limits how often a client may ask (GCRA): 429 with Retry-After beyond rate and burst.",
  options = t.record {
    rate = t.rate():doc("requests per time, such as \"5/m\" or \"100/s\""),
    burst = t.integer(0):default(0):doc("requests beyond the rate that may come at once"),
    by = t.template():default("client_ip"):doc("what is counted: \"client_ip\", or a text such as \"$http_x_api_key\""),
    name = t.string(1):optional():doc("limits of one name share their counters"),
    status = t.integer(400, 599):default(429):doc("status of the refusal"),
    delay = t.boolean():default(false):doc("requests within the burst wait for their turn"),
    report = t.boolean():default(true):doc("send RateLimit-Limit, -Remaining and -Reset"),
  },
  new = function(opt, at)
    local name = opt.name or ("rate_limit %d %s %s"):format(at.index, opt.rate.text, opt.by)
    local limit = mg.limit(name, { rate = opt.rate, burst = opt.burst })
    local key, total = key_of(opt.by), opt.burst + 1
    local hooks = {}

    function hooks.access(req, ctx)
      local refusal, left, reset, delay = limit:admit(key(req), opt.status, opt.report)
      if refusal then
        return refusal
      end
      ctx.rate_left, ctx.rate_reset = left, reset
      if opt.delay and delay > 0 then
        mg.sleep(delay)
      end
    end

    if opt.report then
      function hooks.header(_, res, ctx)
        if ctx.rate_left then
          local headers = res.headers
          headers["RateLimit-Limit"] = total
          headers["RateLimit-Remaining"] = ctx.rate_left
          headers["RateLimit-Reset"] = ctx.rate_reset
        end
      end
    end
    return hooks
  end,
}

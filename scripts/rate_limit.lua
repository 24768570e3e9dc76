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

--- The function that gives a request's key; nil: the client's address, which the limit takes by itself.
local function key_of(by)
  if by == "client_ip" then
    return nil
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
    local status, report = opt.status, opt.report
    if opt.by == "client_ip" and not opt.delay then
      return { access = limit:guard(status, report) } -- all of it in C: what a client that hammers costs
    end
    local key = key_of(opt.by)
    local hooks = {}

    function hooks.access()
      local refusal, _, _, delay = limit:admit(key and key(), status, report)
      if refusal then
        return refusal
      end
      if opt.delay and delay > 0 then
        mg.sleep(delay)
      end
    end

    return hooks
  end,
}

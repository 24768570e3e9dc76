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
---@field redis table|nil      counts on a Redis server, shared with other gateways

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

local function report_on(fields, opt, left, reset)
  fields["RateLimit-Limit"] = opt.burst + 1
  fields["RateLimit-Remaining"] = left
  fields["RateLimit-Reset"] = math.ceil(reset)
end

--- The hooks of a limit whose counters are on a Redis server.
local function on_redis(opt, limit, name, key)
  local emission = opt.rate.seconds * 1e6 / opt.rate.count
  local what = { name = name, emission = emission, burst = opt.burst, otherwise = limit }
  local store, err = require("moongate.limit.redis").new(what, opt.redis)
  if not store then
    error("redis: " .. err, 0)
  end
  local hooks = {}

  function hooks.access(req, ctx)
    local allowed, retry, left, reset, delay = store:take(key and key() or req.client_ip)
    if not allowed then
      local fields = { ["Retry-After"] = math.max(math.ceil(retry), 1) }
      if opt.report then
        report_on(fields, opt, left, reset)
      end
      return req:reply(opt.status, opt.status == 429 and "429 Too Many Requests\n" or "", fields)
    end
    ctx[store] = { left, reset }
    if opt.delay and delay > 0 then
      mg.sleep(delay)
    end
  end

  if opt.report then
    function hooks.header(_, res, ctx)
      local said = ctx[store]
      if said then
        report_on(res.headers, opt, said[1], said[2])
      end
    end
  end
  return hooks
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
    redis = t.record {
      address = t.string(1):doc("\"127.0.0.1:6379\", \"name:port\" or \"unix:/path\""),
      user = t.string(1):optional(),
      password = t.string(1):optional(),
      database = t.integer(0, 65535):default(0),
      prefix = t.string():default("moongate:"):doc("in front of the keys"),
      timeout = t.duration():default("100ms"):doc("of connecting, sending and each reply; then this gateway's own counters decide"),
      tls = t.boolean():default(false),
    }:optional():doc("count on a Redis server, so that several gateways share the limit; while it is away each counts for itself"),
  },
  new = function(opt, at)
    local name = opt.name or ("rate_limit %d %s %s"):format(at.index, opt.rate.text, opt.by)
    local limit = mg.limit(name, { rate = opt.rate, burst = opt.burst })
    local status, report = opt.status, opt.report
    if opt.by == "client_ip" and not opt.delay and not opt.redis then
      return { access = limit:guard(status, report) } -- all of it in C: what a client that hammers costs
    end
    local key = key_of(opt.by)
    if opt.redis then
      return on_redis(opt, limit, name, key)
    end
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

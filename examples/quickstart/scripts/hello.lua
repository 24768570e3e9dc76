-- Edit me while the gateway runs. A saved file goes live without a restart; a broken one is refused, and this one goes on.
local mg = require "moongate"
local t = mg.schema

return mg.policy {
  name = "hello",
  doc = "Greets, and limits how fast one address may ask.",
  options = t.record {
    rate = t.rate():default("5/s"):doc("requests per address"),
    burst = t.integer(0):default(10):doc("requests that may come at once on top of that"),
  },
  new = function(options)
    local limit = mg.limit("hello", options)
    return {
      access = function(req)
        local allowed, wait = limit:take(req.client_ip)
        if not allowed then
          return req:reply(429, "slow down\n", { ["Retry-After"] = math.ceil(wait) })
        end
      end,
      header = function(_, res)
        res.headers["X-Hello"] = "Moongate"
      end,
    }
  end,
}

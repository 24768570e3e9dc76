--- conn_limit: how many requests of one client may be under way at once; counted in shared memory, over all workers.
local mg = require "moongate"
local t = mg.schema

---@class ConnLimitOptions
---@field most integer        requests at once
---@field by string           what is counted: "client_ip", or a text with $variables
---@field name string|nil     limits of one name share their counters
---@field status integer

return mg.policy {
  name = "conn_limit",
  doc = "Limits how many requests of a client are under way at once: 429 beyond.",
  options = t.record {
    most = t.integer(1):doc("requests at once"),
    by = t.template():default("client_ip"):doc("what is counted: \"client_ip\", or a text; an empty one is not"),
    name = t.string(1):optional():doc("limits of one name share their counters"),
    status = t.integer(400, 599):default(429):doc("status of the refusal"),
  },
  new = function(opt, at)
    local name = opt.name or ("conn_limit %d %d %s"):format(at.index, opt.most, opt.by)
    local limit = mg.limit(name, { concurrent = opt.most })
    local key = opt.by ~= "client_ip" and mg.template(opt.by) or nil
    return {
      access = function(req)
        local who = key and key:render() or req.client_ip
        if who ~= "" and not limit:enter(who) then
          return req:reply(opt.status, "too many requests at once\n", { ["Retry-After"] = "1" })
        end
      end,
    }
  end,
}

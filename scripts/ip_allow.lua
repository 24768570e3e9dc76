--- ip_allow: lets clients in by address. What `deny` names is refused; with `allow`, only what it names gets in.
local mg = require "moongate"
local t = mg.schema

---@class IpAllowOptions
---@field allow string[]|nil
---@field deny string[]|nil
---@field status integer

return mg.policy {
  name = "ip_allow",
  doc = "Allows and denies clients by network: 403 for the others.",
  options = t.where(t.record {
    allow = t.array(t.cidr(), { lone = true, min = 1 }):optional():doc("networks that get in; nobody else does"),
    deny = t.array(t.cidr(), { lone = true, min = 1 }):optional():doc("networks that do not, even when allowed"),
    status = t.integer(400, 499):default(403):doc("status of the refusal"),
  }, function(opt)
    return opt.allow ~= nil or opt.deny ~= nil, "needs allow or deny"
  end),
  new = function(opt)
    local allow = opt.allow and mg.networks(opt.allow)
    local deny = opt.deny and mg.networks(opt.deny)
    return {
      access = function(req)
        if deny and deny:has_client() or allow and not allow:has_client() then
          return req:reply(opt.status, "forbidden\n")
        end
      end,
    }
  end,
}

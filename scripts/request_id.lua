--- request_id: gives every request an id that upstream, client and logs share.
local mg = require "moongate"
local t = mg.schema

---@class RequestIdOptions
---@field header string
---@field trust boolean
---@field respond boolean

return mg.policy {
  name = "request_id",
  doc = "Gives every request an id (UUID): passed to the upstream, returned to the client.",
  on_error = "continue",
  options = t.record {
    header = t.string(1):default("X-Request-Id"):doc("header field with the id"),
    trust = t.boolean():default(false):doc("an id the client sent is kept (letters, digits, . _ - only, at most 128)"),
    respond = t.boolean():default(true):doc("the answer has it too"),
  },
  new = function(opt)
    local name = opt.header
    return {
      rewrite = function(req, ctx)
        local id = opt.trust and req.headers[name]
        if not id or #id > 128 or not id:find("^[%w._-]+$") then
          id = mg.uuid()
        end
        req.headers[name] = id
        ctx.request_id = id
      end,
      header = opt.respond and function(_, res, ctx)
        res.headers[name] = ctx.request_id
      end or nil,
    }
  end,
}

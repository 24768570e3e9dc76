--- canary: sends a sticky share of the clients to another upstream; a header field or a cookie can force it.
local mg = require "moongate"
local t = mg.schema

---@class CanaryOptions
---@field percent number   share of clients, 0..100
---@field to table         upstream that gets them
---@field header string|nil
---@field cookie string|nil
---@field by string
---@field seed string

local BUCKETS = 10000

return mg.policy {
  name = "canary",
  doc = "Sends a sticky share of the clients to another upstream; a header or cookie forces it.",
  on_error = "continue",
  options = t.record {
    percent = t.number(0, 100):doc("share of the clients, in percent"),
    to = t.upstream():doc("upstream that gets them"),
    header = t.string(1):optional():doc("a request with this field set to 1 goes there, with 0 never"),
    cookie = t.string(1):optional():doc("the same for a cookie"),
    by = t.template():default("client_ip"):doc("what makes a client: \"client_ip\", or a text such as \"$cookie_uid\""),
    seed = t.string():default(""):doc("another seed chooses other clients"),
  },
  new = function(opt)
    local limit = opt.percent / 100 * BUCKETS
    local template = opt.by ~= "client_ip" and mg.template(opt.by) or nil

    local function forced(req)
      local word = opt.header and req.headers[opt.header] or opt.cookie and req.cookies[opt.cookie]
      if word == "1" then
        return true
      elseif word == "0" then
        return false
      end
      return nil
    end

    return {
      rewrite = function(req, ctx)
        local yes = forced(req)
        if yes == nil then
          local id = template and template:render() or ""
          if id == "" then
            id = req.client_ip
          end
          yes = mg.hash(opt.seed .. id) % BUCKETS < limit
        end
        if yes then
          req.upstream = opt.to
          ctx.canary = true
        end
      end,
    }
  end,
}

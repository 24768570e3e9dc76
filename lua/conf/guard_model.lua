--- Access control that runs in C, before the policies: addresses, users, a sub-request that decides; and copies of requests.
local vars_model = require "conf.vars_model"

local M = {}

local function ask(g, auth)
  if type(auth) ~= "table" then
    return
  end
  g.ask = auth.path
  g.ask_sets = vars_model.assigns(auth.set)
end

local function mirror(g, m)
  if m and m[1] then
    g.mirrors = {}
    for i, path in ipairs(m) do
      g.mirrors[i] = path
    end
    g.mirror_body = m.body
  end
end

---@param r table   the route of the model
---@param o table   options as they hold
function M.fill(r, o)
  local g = {}
  if o.basic_auth then
    g.realm, g.users, g.delay = o.basic_auth.realm or "restricted", o.basic_auth.users or "", o.basic_auth.delay
  end
  if o.access then
    g.rules = {}
    for i, rule in ipairs(o.access) do
      g.rules[i] = { allow = rule.allow, from = rule.from }
    end
  end
  ask(g, o.forward_auth)
  if next(g) and o.satisfy == "any" then
    g.satisfy = "any"
  end
  mirror(g, o.mirror)
  r.guard = next(g) and { g } or nil
end

return M

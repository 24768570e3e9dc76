-- swap.py rewrites the number below while requests run.
local mg = require "moongate"

local version = 0

return mg.policy {
  name = "greet",
  doc = "Says which version of itself answered.",
  hooks = {
    header = function(_, res)
      res.headers["X-Version"] = version
    end,
  },
}

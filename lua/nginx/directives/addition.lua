--- add_before_body, add_after_body: what other paths answer, around an answer.
local units = require "nginx.units"

local everywhere = "http server location"

local function route(scope, r)
  local before, after = scope:get("add_before_body") or "", scope:get("add_after_body") or ""
  if before ~= "" or after ~= "" then
    r.addition = { { before = before ~= "" and before or nil, after = after ~= "" and after or nil, types = scope:get("addition_types") } }
  end
end

return {
  directives = {
    add_before_body = { where = everywhere, args = 1, parse = units.string },
    add_after_body = { where = everywhere, args = 1, parse = units.string },
    addition_types = { where = everywhere, args = "1+", parse = units.types() },
  },
  route = route,
}

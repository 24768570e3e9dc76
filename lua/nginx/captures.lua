--- Named groups of regexes are variables: whoever has a regex in a configuration declares it here.
local types = require "conf.types"

local M = {}

--- Makes a variable of the gateway known; what was known before stays what it is.
---@param c table
---@param name string   without the dollar sign
---@param item table    fields of uservar but the name
---@return table        the model's entry
function M.variable(c, name, item)
  item.name = name
  local _, known = c:intern("vars", name, item)
  return known
end

--- Declares the named groups of a pattern: (?<name>…), (?'name'…), (?P<name>…).
---@param c table
---@param pattern string
function M.declare(c, pattern)
  for _, form in ipairs { "%(%?P?<([%a_][%w_]*)>", "%(%?'([%a_][%w_]*)'" } do
    for name in pattern:gmatch(form) do
      M.variable(c, name, { kind = "capture" })
    end
  end
end

--- Variables of the gateway's own that a configuration may set: these, and the families, whose names it makes up.
local settable = { args = true, limit_rate = true, invalid_referer = true }
local families = {
  "^http_", "^sent_http_", "^sent_trailer_", "^cookie_", "^arg_", "^upstream_http_", "^upstream_cookie_", "^upstream_trailer_",
}
local fixed = {
  http_host = true, http_user_agent = true, http_referer = true, http_via = true, http_x_forwarded_for = true, http_cookie = true,
}

--- May the name be given to a variable of the configuration?
local function is_free(name)
  if settable[name] then
    return true
  end
  for _, family in ipairs(families) do
    if name:find(family) and not fixed[name] then
      return true
    end
  end
  if not pcall(require, "moongate.core") then
    return true -- nobody here knows the core's variables
  end
  return types.refusal("template", "${" .. name .. "}") ~= nil
end

--- The name in "$name" of a directive that makes a variable; nil after a report.
---@param c table
---@param d table        the directive
---@param text string
---@return string|nil
function M.new_name(c, d, text)
  local name = text:match("^%$(.+)$")
  if not name then
    return c:error(d, 'invalid variable name "%s"', text)
  end
  if not is_free(name) then
    return c:error(d, 'the duplicate "%s" variable', name)
  end
  return name
end

return M

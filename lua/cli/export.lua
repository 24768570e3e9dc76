--- `moongate export --json FILE`: the model a configuration means, as JSON: fields of core/conf/fields.def, already inherited, in
--- milliseconds and bytes. A field that is not printed has its default.
local conf = require "conf"
local json = require "conf.json"

local M = {}

local usage = "usage: moongate export --json FILE\n"

--- Private keys stay where they are.
local function without_keys(v, name)
  if type(v) ~= "table" then
    return name and name:find("key_pem$") and "(private key)" or v
  end
  local out = {}
  for key, value in pairs(v) do
    out[key] = without_keys(value, type(key) == "string" and key or nil)
  end
  return out
end

---@param args string[]
---@return integer status, string out, string err
function M.main(args)
  local path
  for _, arg in ipairs(args) do
    if arg ~= "--json" then
      path = arg
    end
  end
  if not path or #args ~= 2 or path:sub(1, 1) == "-" then
    return 2, "", usage
  end
  local ok, model, diags = conf.load { path = path }
  local text = #diags > 0 and conf.report(diags) .. "\n" or ""
  if not ok then
    return 1, "", text
  end
  return 0, json.encode(without_keys(model.gateway)) .. "\n", text
end

return M

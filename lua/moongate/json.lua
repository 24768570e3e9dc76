--- mg.json: cjson, strict and without surprises: errors are returned, not raised.
local cjson = require("cjson").new()

cjson.encode_sparse_array(false, 2, 10)
cjson.decode_max_depth(100)
cjson.encode_max_depth(100)

---@class moongate.Json
local M = {
  --- JSON null in decoded values.
  null = cjson.null,
}

--- JSON text to a Lua value; nil and why when it is malformed.
---@param text string
---@return any, string|nil
function M.decode(text)
  if type(text) ~= "string" then
    return nil, "expected a string, got " .. type(text)
  end
  local ok, result = pcall(cjson.decode, text)
  if ok then
    return result
  end
  return nil, result
end

--- A Lua value to JSON text; nil and why when it cannot be written.
---@param value any
---@return string|nil, string|nil
function M.encode(value)
  local ok, result = pcall(cjson.encode, value)
  if ok then
    return result
  end
  return nil, result
end

return M

--- JSON text of plain tables, for exports and reports: keys sorted, so that two prints of the same thing can be compared.
local M = {}

local escapes = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function text(s)
  return '"' .. s:gsub('[%c"\\]', function(c)
    return escapes[c] or ("\\u%04x"):format(c:byte())
  end) .. '"'
end

--- Marks an empty table as a list.
M.empty_list = setmetatable({}, { __tostring = function() return "[]" end })

local encode

local function list(v, indent, inner)
  local out = {}
  for i, item in ipairs(v) do
    out[i] = inner .. encode(item, inner)
  end
  return "[\n" .. table.concat(out, ",\n") .. "\n" .. indent .. "]"
end

local function object(v, indent, inner)
  local keys, out = {}, {}
  for key in pairs(v) do
    keys[#keys + 1] = tostring(key)
  end
  table.sort(keys)
  for i, key in ipairs(keys) do
    local value = v[key]
    if value == nil then
      value = v[tonumber(key)]
    end
    out[i] = inner .. text(key) .. ": " .. encode(value, inner)
  end
  return "{\n" .. table.concat(out, ",\n") .. "\n" .. indent .. "}"
end

function encode(v, indent)
  local kind = type(v)
  if kind == "string" then
    return text(v)
  elseif kind == "number" then
    return v == math.floor(v) and math.abs(v) < 2 ^ 53 and ("%d"):format(v) or ("%.14g"):format(v)
  elseif kind == "boolean" then
    return tostring(v)
  elseif kind == "table" then
    if v == M.empty_list then
      return "[]"
    elseif next(v) == nil then
      return "{}"
    end
    local inner = indent .. "  "
    return (#v > 0 and list or object)(v, indent, inner)
  end
  return "null"
end

--- JSON of `v`, indented by two blanks.
---@param v any
---@return string
function M.encode(v)
  return encode(v, "")
end

return M

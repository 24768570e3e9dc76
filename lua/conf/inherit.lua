--- The one rule of inheritance: gateway → site → route. Tables merge by key, lists replace, `false` switches off. Works on typed values,
--- so it needs no knowledge of single options; names of header fields are compared without case.
local M = {}

local function same_key(kind, t, key)
  if kind.key and kind.key.fold and type(key) == "string" and t[key] == nil then
    for other in pairs(t) do
      if type(other) == "string" and other:lower() == key:lower() then
        return other
      end
    end
  end
  return key
end

--- `inner` over `outer`, both typed by `kind`. Neither is changed.
---@param kind table
---@param outer any
---@param inner any
---@return any
function M.merge(kind, outer, inner)
  if inner == nil then
    return outer
  elseif outer == nil or type(outer) ~= "table" or type(inner) ~= "table" then
    return inner
  elseif not kind or not (kind.is_record or kind.is_map) or kind.can_many and (outer[1] or inner[1]) then
    return inner
  end
  local out = {}
  for key, value in pairs(outer) do
    if type(key) ~= "number" or #inner == 0 then
      out[key] = value
    end
  end
  for key, value in pairs(inner) do
    local name = same_key(kind, out, key)
    local item = kind.is_record and kind.by_name[key] and kind.by_name[key].type or kind.item
    local merged = M.merge(item, out[name], value)
    if name ~= key then
      out[name] = nil
    end
    out[key] = merged
  end
  return out
end

--- Options that each declaration keeps for itself (hooks are composed, not merged).
local own = { use = true, on = true, listen = true, proxy = true, redirect = true, reply = true, files = true }

--- All options of a route as they hold, from its own and those of the outer declarations.
---@param kind table   the route's record type
---@param scopes table[]  typed options from the outermost to the innermost
---@return table
function M.effective(kind, scopes)
  local out = {}
  for _, options in ipairs(scopes) do
    for name, value in pairs(options) do
      local field = type(name) == "string" and kind.by_name[name]
      if field and not own[name] then
        out[name] = M.merge(field.type, out[name], value)
      end
    end
  end
  M.target(out, scopes)
  return out
end

--- proxy, redirect, reply and files exclude each other: the innermost declaration that names one decides.
function M.target(out, scopes)
  for i = #scopes, 1, -1 do
    local s = scopes[i]
    if s.proxy or s.redirect or s.reply or s.files then
      out.proxy, out.redirect, out.reply, out.files = s.proxy or nil, s.redirect or nil, s.reply or nil, s.files or nil
      return
    end
  end
end

return M

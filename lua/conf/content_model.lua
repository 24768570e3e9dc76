--- What becomes of the text of an answer, and what stands around it: charset, replaced texts, other paths before and after, trailers; and
--- what a request must show beside: signed links, referers.
local sorted_keys = require("conf.check").sorted_keys

local M = {}

--- Types whose Content-Type may name a charset.
local usual = { "text/html", "text/plain", "text/xml", "text/css", "text/javascript", "application/javascript", "application/rss+xml" }

local function trailers(map)
  local out = {}
  for _, name in ipairs(sorted_keys(map or {})) do
    local v = map[name]
    out[#out + 1] = v and { op = "add", name = name, value = v.value, always = v.always } or nil
  end
  return out[1] and out or nil
end

--- Longer texts go before shorter ones that they begin with.
local function pairs_of(texts)
  local keys, out = sorted_keys(texts or {}), {}
  table.sort(keys, function(a, b)
    return #a > #b or #a == #b and a < b
  end)
  for i, from in ipairs(keys) do
    out[i] = { from = from:gsub("%$", "$$$$"), to = texts[from] }
  end
  return out
end

local function replaced(o)
  if not o or not o.texts or not next(o.texts) then
    return nil
  end
  return { { pairs = pairs_of(o.texts), once = o.once or false, types = o.types, last_modified = o.last_modified } }
end

--- "~ re" of the native dialect is "~re" of the model.
local function referers(r, o)
  if not o then
    return
  end
  r.referers, r.referer_none, r.referer_blocked = {}, o.none, o.blocked
  for i, text in ipairs(o) do
    r.referers[i] = text:gsub("^~%s+", "~")
  end
end

---@param r table   the route of the model
---@param o table   options as they hold
function M.fill(r, o)
  r.response_trailers = trailers(o.trailers)
  if o.charset then
    r.charset = { { to = o.charset.to, override = o.charset.override, types = o.charset.types or usual } }
  end
  r.replace = replaced(o.replace)
  if o.around and (o.around.before or o.around.after) then
    r.addition = { { before = o.around.before, after = o.around.after, types = o.around.types } }
  end
  if o.secure_link then
    r.secure = { { said = o.secure_link.said, hashed = o.secure_link.hashed, secret = o.secure_link.secret } }
  end
  referers(r, o.referers)
end

return M

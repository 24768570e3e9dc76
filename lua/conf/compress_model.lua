--- `compress` of a route, and `precompressed` of its files.
local M = {}

local types = {
  "text/html", "text/css", "text/plain", "text/xml", "text/markdown", "text/csv", "text/calendar", "text/javascript",
  "application/javascript", "application/json", "application/ld+json", "application/manifest+json", "application/problem+json",
  "application/vnd.api+json", "application/graphql-response+json", "application/xml", "application/xhtml+xml", "application/rss+xml",
  "application/atom+xml", "application/yaml", "application/wasm", "image/svg+xml", "font/ttf", "font/otf",
}

local function lower(list)
  local out = {}
  for i, v in ipairs(list) do
    out[i] = v:lower()
  end
  return out
end

---@param r table           the route of the model
---@param o table|boolean|nil   the option, typed
---@param files table|nil
function M.fill(r, o, files)
  if files and files.precompressed then
    r.precompressed, r.compress_encodings = "on", { "zstd", "br", "gzip" }
  end
  if not o then
    return
  end
  r.compress = "on"
  r.compress_types = lower(o.types or types)
  r.compress_encodings = o.encodings or { "zstd", "br", "gzip" }
  r.compress_min, r.compress_level = o.min, o.level
end

return M

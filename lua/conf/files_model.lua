--- `files` of a route: the folder, and what stands for it.
local mimes = require "conf.mimes"

local M = {}

--- The one table of media types of a native configuration.
local function mime_table(c)
  local model = c.model
  model.mimes = model.mimes or { mimes.model(mimes.usual()) }
  return 0
end

--- The rest of the path behind a route's prefix is looked for in the folder; a route for one path names its file.
local function place(r, root)
  r.root = root:gsub("%$", "$$$$")
  if r.match == "exact" then
    r.root_whole = true
  elseif r.match == "prefix" and r.pattern ~= "/" then
    r.root_cut = #r.pattern
  end
end

---@param c table
---@param r table      the route of the model
---@param o table      the option, typed
---@param decl table
function M.fill(c, r, o, decl)
  if not o.root then
    c:report({ holder = decl.body, key = "files", decl = decl }, "files needs the folder", { hint = 'write files = "public"' })
    return
  end
  r.action = "file"
  place(r, o.root)
  r.index = o.index == false and {} or o.index or { "index.html" }
  r.try_files = o.try
  r.mime, r.default_type = mime_table(c), "application/octet-stream"
  r.links = o.links or "inside"
  r.etag = o.etag
  r.max_ranges = o.ranges == false and 0 or o.ranges
end

return M

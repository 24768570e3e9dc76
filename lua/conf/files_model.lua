--- `files` of a route: the folder, and what stands for it.
local mimes = require "conf.mimes"

local M = {}

--- Index of the table of media types: the usual ones, or those and the route's own.
local function mime_table(c, own)
  local list = c:model_list("mimes")
  list[1] = list[1] or mimes.model(mimes.usual())
  if not own or not next(own) then
    return 0
  end
  local map = mimes.usual()
  for extension, type in pairs(own) do
    map[extension:lower():gsub("^%.", "")] = type
  end
  list[#list + 1] = mimes.model(map)
  return #list - 1
end

--- Where a search ends.
local function otherwise(r, o)
  if type(o.otherwise) == "number" then
    r.try_status = o.otherwise
  else
    r.try_path = o.otherwise
  end
  if o.otherwise and not o.try then
    r.try_files = { "$uri", "$uri/" }
  end
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
  otherwise(r, o)
  r.mime, r.default_type = mime_table(c, o.types), o.default_type or "application/octet-stream"
  r.if_modified_since, r.log_missing = o.modified, o.log_missing
  r.links = o.links or "inside"
  r.etag = o.etag
  r.max_ranges = o.ranges == false and 0 or o.ranges
end

return M

--- Static files: root, alias, index, try_files, media types, and what their answers say of themselves. A location without another
--- handler answers with files.
local units = require "nginx.units"
local mimes = require "conf.mimes"

local everywhere = "http server location"

--- A folder: relative ones begin at the prefix; those that begin with a variable are what it says.
local function folder(d, c)
  local path = d.args[1]
  for _, name in ipairs { "document_root", "realpath_root" } do
    if path:find("%$" .. name) or path:find("%${" .. name .. "}") then
      return nil, ('the $%s variable cannot be used in the "%s" directive'):format(name, d.name)
    end
  end
  return path:sub(1, 1) == "$" and path or c:prefix_path(path)
end

--- root and alias exclude each other in one block.
local function alone(d, scope)
  local other = d.name == "root" and "alias" or "root"
  if scope:own(other) then
    return ('"%s" directive is duplicate, "%s" directive was specified earlier'):format(d.name, other)
  end
end

local function root(d, scope, c)
  local err = alone(d, scope)
  if err then
    return nil, err
  end
  local path, wrong = folder({ name = d.name, args = { d.args[1]:gsub("/$", "") } }, c)
  return path, wrong
end

local function alias(d, scope, c)
  local err = alone(d, scope)
  if err then
    return nil, err
  elseif scope.match and scope.match.match == "named" then
    return nil, 'the "alias" directive cannot be used inside the named location'
  end
  return folder(d, c)
end

local function index(d, _, c)
  for i, name in ipairs(d.args) do
    if name:sub(1, 1) == "/" and i < #d.args then
      c:warn(d, 'only the last index in "index" directive should be absolute')
    elseif name == "" then
      return nil, 'index "" in "index" directive is invalid'
    end
  end
  return d.args
end

--- try_files FILE... LAST: { files = {…}, status = N | path = "…" }
local function try_files(d)
  local t = { files = {} }
  for i = 1, #d.args - 1 do
    t.files[i] = d.args[i]
  end
  local last = d.args[#d.args]
  if last:sub(1, 1) == "=" then
    t.status = units.integer(last:sub(2))
    if not t.status or t.status > 999 then
      return nil, ('invalid code "%s"'):format(last)
    end
  else
    t.path = last
  end
  return t
end

--- types { TYPE extension...; }: { extension = type }
local function types(d, _, c)
  local map = {}
  for _, line in ipairs(d.block) do
    for _, extension in ipairs(line.args) do
      local key = extension:lower()
      if map[key] and map[key] ~= line.name then
        c:warn(line, 'duplicate extension "%s", content type: "%s", previous content type: "%s"', extension, line.name, map[key])
      end
      map[key] = line.name
    end
  end
  return map
end

--- disable_symlinks off | on | if_not_owner [from=PART]
local function disable_symlinks(d)
  local links = ({ off = "follow", on = "none", if_not_owner = "owner" })[d.args[1]]
  local from = d.args[2] and d.args[2]:match("^from=(.+)$")
  if not links or d.args[2] and not from then
    return nil, ('invalid parameter "%s"'):format(links and d.args[2] or d.args[1])
  elseif links == "follow" and from then
    return nil, '"on" or "if_not_owner" must be used with "from" parameter'
  end
  return { links = links, from = from or "/" }
end

local usual = { html = "text/html", gif = "image/gif", jpg = "image/jpeg" }

--- The same table for the same map.
local function mime_table(c, map)
  local model = mimes.model(map)
  local key = table.concat(model.extensions, " ") .. "\0" .. table.concat(model.types, "\0")
  return (c:intern("mimes", key, model))
end

--- The block around `scope` whose root or alias holds; nil: nobody says one.
local function holder(scope)
  while scope and scope:own("root") == nil and scope:own("alias") == nil do
    scope = scope.parent
  end
  return scope
end

local function place(scope, r, c)
  local from = holder(scope)
  r.root = from and (from:own("root") or from:own("alias")) or c:prefix_path("html")
  if from and from:own("alias") then
    local m = from.match
    r.root_whole = m.match == "regex" or nil
    r.root_cut = m.match ~= "regex" and #m.pattern or nil
  end
end

local function tries(scope, r)
  local t = scope:own("try_files")
  if t then
    r.try_files, r.try_status, r.try_path = t.files, t.status, t.path
  end
end

local function indexes(scope)
  local lists = scope:get("index") or { { "index.html" } }
  local out = {}
  for _, list in ipairs(lists) do
    for _, name in ipairs(list) do
      out[#out + 1] = name
    end
  end
  return out
end

local function route(scope, r, c)
  r.action = "file"
  place(scope, r, c)
  tries(scope, r)
  r.index, r.index_reroutes = indexes(scope), true
  r.mime = mime_table(c, scope:get("types") or usual)
  r.default_type = scope:get("default_type")
  r.log_missing = scope:get("log_not_found")
  if not scope:get("etag") then
    r.etag = false
  end
  r.if_modified_since, r.max_ranges = scope:get("if_modified_since"), scope:get("max_ranges")
  local links = scope:get("disable_symlinks")
  if links and links.links ~= "follow" then
    r.links, r.links_from = links.links, links.from
  end
end

local function stored(parse, default, args)
  return { where = everywhere, args = args or 1, parse = parse, default = default }
end

return {
  directives = {
    root = { where = "http server location if", args = 1, parse = root },
    alias = { where = "location", args = 1, parse = alias },
    index = { where = everywhere, args = "1+", many = true, parse = index },
    try_files = { where = "server location", args = "2+", parse = try_files },
    types = { where = everywhere, args = 0, block = true, parse = types },
    default_type = stored(units.string, "text/plain"),
    log_not_found = stored(units.onoff, true),
    etag = stored(units.onoff, true),
    if_modified_since = stored(units.one_of { "off", "exact", "before" }, "exact"),
    max_ranges = stored(units.number),
    disable_symlinks = stored(disable_symlinks, nil, { 1, 2 }),
  },
  route = route,
}

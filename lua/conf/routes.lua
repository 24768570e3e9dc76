--- Patterns of routes, and the ties between them.
---
---   "/"          everything               "/x"      exactly /x            "/x/*"   /x and all below it
---   "/u/:id"     one segment stands for :id (a last /* takes any rest)         "~ ^/a"  PCRE2        "~* ^/a" PCRE2 without case
---   "@name"      no path leads here, only errors, files and X-Accel-Redirect
local M = {}

---@class conf.Pattern
---@field match "exact"|"prefix"|"segments"|"regex"|"named"
---@field pattern string
---@field border boolean|nil
---@field caseless boolean|nil

local function regex(text)
  local star, pattern = text:match("^~(%*?)%s*(.*)$")
  if pattern == "" then
    return nil, 'a pattern is missing after "~"'
  end
  return { match = "regex", pattern = pattern, caseless = star == "*" or nil }
end

local function segments(text, pattern)
  for segment in text:gmatch("[^/]+") do
    local name = segment:match("^:(.*)$")
    if name and not name:match("^[%a_][%w_]*$") then
      return nil, ("'%s' is not a segment name such as :id"):format(segment)
    elseif not name and segment:find(":", 1, true) then
      return nil, ("in '%s' the name does not stand for a whole segment"):format(segment)
    end
  end
  return { match = "segments", pattern = pattern }
end

--- Understands the argument of `route`.
---@param text any
---@return conf.Pattern|nil, string|nil err, string|nil hint
function M.parse(text)
  if type(text) ~= "string" then
    return nil, "a route needs a path such as \"/x\", got " .. type(text)
  elseif text:sub(1, 1) == "~" then
    return regex(text)
  elseif text:sub(1, 1) == "@" then
    if not text:match("^@[%w_%-]+$") then
      return nil, ("%q is no name of a route: letters, digits, _ and - follow the @"):format(text)
    end
    return { match = "named", pattern = text }
  elseif text:sub(1, 1) ~= "/" then
    return nil, ("the path of a route starts with /, got %q"):format(text), ('write "/%s"'):format(text)
  elseif text:find("[?#%z\r\n ]") then
    return nil, ("%q has a character that no path has; conditions on the query go into when"):format(text)
  elseif text == "/" or text == "/*" then
    return { match = "prefix", pattern = "/", border = false }
  end
  local base = text:match("^(.*)/%*$")
  if (base or text):find("*", 1, true) then
    local stem = text:gsub("/?%*.*$", "")
    return nil, ("in %q the * stands elsewhere than in a last segment of its own"):format(text), ('write "%s/*"'):format(stem)
  elseif text:find("/:") then
    return segments(base or text, text)
  elseif base then
    return { match = "prefix", pattern = base }
  end
  return { match = "exact", pattern = text }
end

--- The names that stand for segments in a pattern ("/u/:id"): variables of this route only. nil without any.
---@param pattern any
---@return table<string, boolean>|nil
function M.names(pattern)
  local names
  for name in (type(pattern) == "string" and pattern:sub(1, 1) == "/" and pattern or ""):gmatch("/:([%w_]+)") do
    names = names or {}
    names[name] = true
  end
  return names
end

--- Methods in common? Both without a list: yes. One with and one without: no tie, the list is more specific.
local function methods_overlap(a, b)
  if not a and not b then
    return true
  elseif not a or not b then
    return false
  end
  for _, x in ipairs(a) do
    for _, y in ipairs(b) do
      if x == y then
        return true
      end
    end
  end
  return false
end

local function conditions(when)
  local out, n = {}, 0
  for _, on in ipairs { "header", "query", "cookie" } do
    for name, m in pairs(when and when[on] or {}) do
      out[on .. ":" .. name:lower()] = m
      n = n + 1
    end
  end
  return out, n
end

local function excludes(x, y)
  if x.op == "absent" or y.op == "absent" then
    return x.op ~= y.op
  end
  return x.op == "equals" and y.op == "equals" and x.value ~= y.value
end

--- Could one request satisfy both, with equally many conditions?
local function conditions_tie(a, b)
  local left, n = conditions(a)
  local right, m = conditions(b)
  if n ~= m then
    return false
  end
  for name, x in pairs(left) do
    if right[name] and excludes(x, right[name]) then
      return false
    end
  end
  return true
end

local function key_of(p)
  local pattern = p.match == "segments" and p.pattern:gsub("/:[%w_]+", "/:") or p.pattern
  return p.match .. (p.caseless and "*" or "") .. " " .. pattern
end

--- Reports every pair of routes that no rule puts in an order. `list` holds { pattern =, options =, decl = }.
---@param c table
---@param list table[]
function M.report_ties(c, list)
  local same = {}
  for _, r in ipairs(list) do
    local key = key_of(r.pattern)
    same[key] = same[key] or {}
    for _, other in ipairs(same[key]) do
      if methods_overlap(r.options.methods, other.options.methods) and conditions_tie(r.options.when, other.options.when) then
        c:report(r.decl.arg, ('route "%s" ties with route "%s" at %s:%d: nothing says which one wins'):format(
          r.decl.name, other.decl.name, other.decl.at.file, other.decl.at.line),
          { hint = "tell them apart by methods or when, or remove one" })
        break
      end
    end
    table.insert(same[key], r)
  end
end

return M

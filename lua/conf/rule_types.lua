--- Types of options that are rules: tables from a text or a "~ pattern" to what becomes of it, statuses to error pages, variables that
--- the configuration makes.
local t = require "conf.types"
local special = require "conf.special"

local M = {}

--- "~ re" and "~* re" are patterns: the pattern and whether case is ignored; nil: a text.
---@param text string
---@return string|nil pattern, boolean|nil caseless
function M.pattern(text)
  local star, pattern = text:match("^~(%*?)%s*(.+)$")
  return pattern, pattern and star == "*" or nil
end

--- Names of the groups of a pattern: variables of its value.
function M.groups(pattern)
  local names
  for name in pattern:gmatch("%(%?P?<([%a_][%w_]*)>") do
    names = names or {}
    names[name] = true
  end
  return names
end

--- Numbers of the named groups of a pattern.
local function numbers(pattern)
  local out, n, at, class = {}, 0, 1, false
  while at <= #pattern do
    local ch = pattern:sub(at, at)
    if ch == "\\" then
      at = at + 1
    elseif ch == "[" or ch == "]" then
      class = ch == "["
    elseif ch == "(" and not class then
      local name = pattern:match("^%(%?P?<([%a_][%w_]*)>", at)
      n = (name or pattern:sub(at + 1, at + 1) ~= "?") and n + 1 or n
      out[name or 0] = n
    end
    at = at + 1
  end
  return out
end

--- The value of a pattern with numbers instead of the names of its groups: they are nobody else's variables.
---@param pattern string
---@param to string
---@return string
function M.numbered(pattern, to)
  local known = numbers(pattern)
  return (to:gsub("%$({?)([%a_][%w_]*)(}?)", function(open, name, close)
    return known[name] and ("${%d}"):format(known[name]) .. (open == "" and close or "") or nil
  end))
end

local key = t.custom('a text or "~ regex"', "string", { type = "string" }, function(c, v, at, self)
  if type(v) ~= "string" then
    return c:bad(at, v, self:words())
  end
  local pattern = M.pattern(v)
  local err = pattern and t.refusal("regex", pattern)
  if err then
    return c:report(at, err, { on_key = true })
  end
  return v
end)

--- A template that may name the groups of the pattern it stands for.
local function value_of(kind)
  return t.custom(kind:words(), kind.lua, kind.json, function(c, v, at)
    local pattern = type(at.key) == "string" and M.pattern(at.key)
    local names = pattern and M.groups(pattern)
    local outer = c.names
    if names then
      for name in pairs(outer or {}) do
        names[name] = true
      end
      c.names = names
    end
    local value = kind:check(c, v, at)
    c.names = outer
    local where = c:locate(at)
    where = where or {}
    return value ~= nil and { to = value, file = where.file, line = where.line, col = where.col } or nil
  end)
end

--- A table of rules: typed, each value is { to =, file =, line =, col = }.
function M.rules(kind, what)
  return t.map(key, value_of(kind):off(), what)
end

--- The rules of a typed table in the order they are tried: texts, longer ones first, then patterns in the order of the file.
---@param map table
---@return { from: string, is_regex: boolean|nil, caseless: boolean|nil, to: any }[]
function M.sorted(map)
  local list = {}
  for text, v in pairs(map or {}) do
    if v then
      local pattern, caseless = M.pattern(text)
      local to = pattern and type(v.to) == "string" and M.numbered(pattern, v.to) or v.to
      list[#list + 1] = { from = pattern or text, is_regex = pattern and true, caseless = caseless or nil, to = to, at = v, text = text }
    end
  end
  table.sort(list, function(a, b)
    if a.is_regex ~= b.is_regex then
      return not a.is_regex
    elseif not a.is_regex and #a.text ~= #b.text then
      return #a.text > #b.text
    elseif a.is_regex and a.at.line and b.at.line and a.at.file == b.at.file and (a.at.line ~= b.at.line or a.at.col ~= b.at.col) then
      return a.at.line < b.at.line or a.at.line == b.at.line and a.at.col < b.at.col
    end
    return a.text < b.text
  end)
  return list
end

-- ---- error pages

local switches = { intercept = true, recursive = true }

local function is_status(v)
  return type(v) == "string" and v:match("^[345]xx$") or type(v) == "number" and v == math.floor(v) and v >= 300 and v <= 599
end

local status_key = t.custom('a status from 300 to 599, "3xx", "4xx", "5xx", "intercept" or "recursive"', "integer|string",
  { type = "string" }, function(c, v, at)
    if switches[v] or is_status(v) then
      return v
    end
    local hint = type(v) == "string" and v:match("^%d%d%d$") and ("write [%s]"):format(v) or nil
    return c:report(at, ("%s is no status from 300 to 599, nor one of \"3xx\", \"4xx\", \"5xx\", intercept, recursive"):format(
      type(v) == "string" and ("%q"):format(v) or tostring(v)), { on_key = true, hint = hint })
  end)

local page = t.record {
  t.field("page", t.template, 'a path of the site, a named route "@name", or a URL that the client is sent to'),
  t.field("file", t.path, "a file that is read when the configuration is loaded"),
  t.field("body", t.template, "a text, $variables allowed"),
  t.field("type", t.string, "Content-Type of file or body; by the file's name, else text/html, when not written"),
  t.field("status", special.page_status, 'sent instead of the error\'s; "page": that of the page'),
}

local function check_page(c, v, at)
  local value = page:check(c, v, at)
  if not value then
    return nil
  end
  local named = (value.page and 1 or 0) + (value.file and 1 or 0) + (value.body and 1 or 0)
  if named ~= 1 then
    return c:report(at, ("an error page is one of page, file and body, got %s"):format(named == 0 and "none" or "several"))
  end
  return value
end

local function check_target(c, v, at)
  if not v:find("^[/@$]") and not v:find("^https?://") then
    return c:report(at, ('%q is no page: it must begin with "/", "@" or "https://"'):format(v),
      { hint = ('write { file = %q }'):format(v) })
  end
  return v
end

local error_page = t.custom('a path, "@route", a URL, or { file = … }',
  "string|{ page?: string, file?: string, body?: string, type?: string, status?: integer }|boolean",
  { type = { "string", "object", "boolean" } }, function(c, v, at, self)
    if switches[at.key] then
      return t.boolean:check(c, v, at)
    elseif v == false then
      return false
    end
    local value
    if type(v) == "table" and not c:is_decl(v) then
      value = check_page(c, v, at)
    elseif type(v) == "string" then
      local text = t.template:check(c, v, at)
      value = text and c:typed({ page = text }, at.holder)
    else
      return c:bad(at, v, self:words())
    end
    if value and value.page and not check_target(c, value.page, type(v) == "table" and { holder = v, key = "page" } or at) then
      return nil
    end
    if value then
      value.at = at
    end
    return value
  end)

M.errors = t.map(status_key, error_page, 'from statuses, "4xx" or "5xx" to pages')

-- ---- variables

M.var_name = t.custom("a name of letters, digits and _", "string", { type = "string" }, function(c, v, at)
  if type(v) ~= "string" or not v:match("^[%a_][%w_]*$") then
    return c:report(at, ("%s is no name of a variable: letters, digits and _"):format(type(v) == "string" and ("%q"):format(v) or "this"),
      { on_key = true })
  elseif c.builtin and c.builtin[v] then
    return c:report(at, ("$%s is a variable of the gateway's own"):format(v), { on_key = true })
  end
  return v
end)

local share = t.custom('{ "5%", value } or { "*", value }', "{ [1]: string, [2]: string }", { type = "array" }, function(c, v, at, self)
  if type(v) ~= "table" or c:is_decl(v) or type(v[1]) ~= "string" or v[2] == nil then
    return c:bad(at, v, self:words())
  end
  local whole, part = v[1]:match("^(%d+)%.?(%d?%d?)%%$")
  local hundredths = v[1] == "*" and 0 or whole and tonumber(whole) * 100 + tonumber((part .. "00"):sub(1, 2))
  if not hundredths or hundredths > 10000 or hundredths == 0 and v[1] ~= "*" then
    return c:report({ holder = v, key = 1 }, ('%q is no share such as "5%%", "0.25%%" or "*" for what is left'):format(v[1]))
  end
  local value = t.string:check(c, v[2], { holder = v, key = 2 })
  return value and { share = hundredths, value = value } or nil
end)

M.var = t.record {
  t.field("map", t.template, "looks this text up in values"),
  t.field("geo", t.template, 'looks this address up in values: networks, or ranges such as "10.0.0.0-10.0.0.255"'),
  t.field("split", t.template, "deals out shares by a hash of this text"),
  t.field("values", M.rules(t.template, "from texts to values"), "of map and geo"),
  t.field("shares", t.list(share), 'of split: { { "5%", "canary" }, { "*", "stable" } }'),
  t.field("default", t.template, "the value when nothing fits; empty when not written"),
  t.field("hosts", t.boolean, 'of map: values may be host names such as "*.example.com"'),
  t.field("fresh", t.boolean, "evaluated anew at every use, not once per request"),
  t.field("trust", t.list(special.network), "of geo: networks whose X-Forwarded-For is believed"),
  t.field("recursive", t.boolean, "of geo: skip trusted addresses from the right"),
}:short(t.template, function(text, c, at)
  return c:typed({ text = text }, at.holder)
end)

return M

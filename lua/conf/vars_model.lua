--- Variables that the configuration makes: `vars` of the gateway, `set` of gateway, site and route, `forward_auth.set`. Their names are
--- known before anything is checked, so that every template may use them, those of policies too.
local rule_types = require "conf.rule_types"
local native = require "conf.native"
local sorted_keys = require("conf.check").sorted_keys

local M = {}

local function core()
  local found, module = pcall(require, "moongate.core")
  return found and type(module) == "table" and module or nil
end

local function each_name(t, f)
  if type(t) == "table" and not native.kind_of(t) then
    for name in pairs(t) do
      if type(name) == "string" then
        f(name)
      end
    end
  end
end

--- Bodies of all declarations that may say one.
local function bodies(loader)
  local out = {}
  for _, list in ipairs { { loader.gateway }, loader.sites, loader.routes } do
    for _, d in ipairs(list) do
      out[#out + 1] = d.body
    end
  end
  return out
end

--- Which of the names are the core's own: they stay what they are.
local function builtin(names)
  local c, own = core(), {}
  for _, name in ipairs(c and c.template and names or {}) do
    own[name] = name:match("^%a") and c.template("${" .. name .. "}") ~= nil and not name:match("^arg_") or nil
  end
  return own
end

--- Collects the names in a stable order and declares them.
---@param c table
function M.declare(c)
  local seen, names = {}, {}
  local function add(name)
    if name:match("^[%a_][%w_]*$") and not seen[name] then
      seen[name] = true
      names[#names + 1] = name
    end
  end
  for _, body in ipairs(bodies(c.loader)) do
    each_name(rawget(body, "vars"), add)
    each_name(rawget(body, "set"), add)
    local auth = rawget(body, "forward_auth")
    each_name(type(auth) == "table" and not native.kind_of(auth) and rawget(auth, "set"), add)
  end
  table.sort(names)
  c.vars, c.builtin = names, builtin(names)
  local module = core()
  if module and module.declare then
    module.declare(names)
  end
end

local kinds = { "map", "geo", "split" }

local function kind_of(c, o, at)
  local found
  for _, kind in ipairs(kinds) do
    if o[kind] and found then
      return c:report(at, ("a variable is one of map, geo and split, got %s and %s"):format(found, kind))
    end
    found = o[kind] and kind or found
  end
  return found or c:report(at, "a variable needs map, geo or split", { hint = 'write { map = "$host", values = { … } }' })
end

local function map_entries(v, o)
  for _, rule in ipairs(rule_types.sorted(o.values)) do
    local literal = rule.from:find("^[\\~]") and "\\" .. rule.from or rule.from
    table.insert(v.entries, {
      key = rule.is_regex and (rule.caseless and "~*" or "~") .. rule.from or literal, value = rule.to,
      label = rule.at.file and ("%s:%d"):format(rule.at.file, rule.at.line) or nil,
    })
  end
end

local special = require "conf.special"

local function is_range(text)
  local from, to = text:match("^([%d.]+)%s*%-%s*([%d.]+)$")
  return from and special.is_network(from) and special.is_network(to)
end

local function geo_entries(c, v, o)
  for _, rule in ipairs(rule_types.sorted(o.values)) do
    local range = is_range(rule.from)
    local at = { holder = c.raw[o.values], key = rule.text }
    if not range and not special.is_network(rule.from) then
      c:report(at, ("%q is no network such as \"10.0.0.0/8\" and no range of addresses"):format(rule.from), { on_key = true })
    elseif v.ranges ~= nil and v.ranges ~= (range and true or false) then
      c:report(at, "networks and ranges do not go together in one variable", { on_key = true })
    elseif rule.to:find("$", 1, true) then
      c:report(at, "values of geo are plain texts, without $variables")
    else
      v.ranges = range and true or false
      table.insert(v.entries, { key = rule.from:gsub("%s", ""), value = rule.to })
    end
  end
  v.ranges = v.ranges or nil
  v.proxies, v.proxy_recursive = o.trust, o.recursive
end

local function split_entries(c, v, o, at)
  local sum = 0
  for _, s in ipairs(o.shares or {}) do
    sum = sum + s.share
    table.insert(v.entries, { share = s.share, value = s.value })
  end
  if not o.shares then
    c:report(at, "split needs shares", { hint = 'write shares = { { "5%", "a" }, { "*", "b" } }' })
  elseif sum > 10000 then
    c:report(at, "the shares are more than 100 %")
  end
end

local function variable(c, name, o, at, label)
  if o.text then
    return { name = name, kind = "map", source = "", otherwise = o.text, label = label }
  end
  local kind = kind_of(c, o, at)
  if not kind then
    return nil
  end
  local v = { name = name, kind = kind, source = o[kind], otherwise = o.default, uncached = o.fresh, entries = {} }
  v.label = label
  if kind == "map" then
    v.hostnames = o.hosts
    map_entries(v, o)
  elseif kind == "geo" then
    geo_entries(c, v, o)
  else
    split_entries(c, v, o, at)
    v.entries[#v.entries + 1] = o.default and { share = 0, value = o.default } or nil
    v.otherwise = nil
  end
  return v
end

--- The model's list, in the order declared.
---@param c table
---@param vars table|nil  typed `vars`
---@return table[]|nil
function M.build(c, vars)
  local out = {}
  for i, name in ipairs(c.vars or {}) do
    local o = vars and vars[name]
    local at = o and { holder = c.raw[vars], key = name }
    local where = at and c:locate(at)
    local label = where and where.file and ("%s:%d"):format(where.file, where.line) or nil
    out[i] = o and variable(c, name, o, at, label) or { name = name, kind = "set" }
  end
  return out[1] and out or nil
end

--- Names and values by name; nil: none.
---@param set table|nil  typed
---@return table[]|nil
function M.assigns(set)
  local out = {}
  for _, name in ipairs(sorted_keys(set or {})) do
    out[#out + 1] = set[name] and { name = name, value = set[name] } or nil
  end
  return out[1] and out or nil
end

--- Steps that set a route's own variables.
---@param set table|nil  typed
---@return table[]
function M.steps(set)
  local out = M.assigns(set) or {}
  for _, step in ipairs(out) do
    step.op = "set"
  end
  return out
end

return M

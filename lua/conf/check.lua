--- The native dialect, second half: checks raw declarations against the schema. Every value comes out typed and in plain units, or
--- has been reported with its place. A typed table remembers the raw one it came from, so that what is judged later (a route
--- without a target, a certificate that does not fit) still points at the source.
local diag = require "conf.diag"
local native = require "conf.native"
local routes = require "conf.routes"
local upstreams = require "conf.upstreams"

local M = {}

local Checker = {}
Checker.__index = Checker

--- A checker over the declarations of `loader`.
function M.new(loader)
  return setmetatable({
    loader = loader, diags = loader.diags, crumbs = {}, raw = setmetatable({}, { __mode = "k" }), scope = nil,
    decls = {}, implicit = {},
  }, Checker)
end

--- Ties a typed table to the raw one.
function Checker:typed(t, raw)
  self.raw[t] = raw
  return t
end

--- Place of a declaration, table or key: `at` is a place already, or { holder, key }.
function Checker:locate(at)
  if at.file then
    return at, at.mark
  elseif at.holder then
    local key, value = self.loader:key_place(at.holder, at.key)
    if key then
      return key, value
    end
  end
  return at.decl and at.decl.at or self.place
end

function Checker:context()
  return #self.crumbs > 0 and table.concat(self.crumbs, " > ") or nil
end

--- Reports an error about the value `at`.
function Checker:report(at, message, more)
  more = more or {}
  local where, mark = self:locate(at)
  self.diags:add(more.level or "error", where, message, {
    hint = more.hint, mark = more.on_key and where or mark, context = self:context(),
  })
  return nil
end

local function show(v)
  if type(v) == "string" then
    return ("%q"):format(#v > 40 and v:sub(1, 40) .. "…" or v)
  elseif type(v) == "number" then
    return "number " .. ("%.14g"):format(v)
  elseif type(v) == "boolean" then
    return tostring(v)
  elseif type(v) == "table" then
    local kind = native.kind_of(v)
    return kind and "a " .. kind or "a table"
  end
  return "a " .. type(v)
end

local function key_words(key)
  return type(key) == "number" and ("item %d"):format(key) or ("'%s'"):format(tostring(key))
end

--- "'read' must be a duration such as "5s", got number 30".
function Checker:bad(at, v, expect, hint)
  if native.is_unknown(v) then
    return nil
  end
  return self:report(at, ("%s must be %s, got %s"):format(key_words(at.key), expect, show(v)), { hint = hint })
end

function Checker:nearest_hint(word, among)
  local near = diag.nearest(word, among)
  return near and ('write "%s"'):format(near) or nil
end

function Checker:is_decl(v)
  return native.kind_of(v) ~= nil or native.is_unknown(v)
end

function Checker:resolve(path, holder)
  return self.loader:resolve(path, self.loader:dir_of(holder))
end

--- Runs `f` one level deeper in the context line.
function Checker:inside(crumb, f, ...)
  table.insert(self.crumbs, crumb)
  local result = f(...)
  table.remove(self.crumbs)
  return result
end

--- Runs `f` with the option `at` named in the context line.
function Checker:within(at, f)
  if at and type(at.key) == "string" then
    return self:inside(at.key, f)
  end
  return f()
end

function Checker:list(item, raw, at)
  local out = self:typed({}, raw)
  self:within(at, function()
    for i, v in ipairs(raw) do
      out[#out + 1] = item:check(self, v, { holder = raw, key = i })
    end
  end)
  for key in pairs(raw) do
    if type(key) ~= "number" then
      self:report({ holder = raw, key = key }, ("unknown option '%s': a list is expected here"):format(tostring(key)), { on_key = true })
    end
  end
  return out
end

function Checker:map(key_type, item, raw, at)
  local out = self:typed({}, raw)
  self:within(at, function()
    for _, key in ipairs(M.sorted_keys(raw)) do
      local place = { holder = raw, key = key }
      local name = key_type:check(self, key, place)
      local value = item:check(self, raw[key], place)
      if name ~= nil and value ~= nil then
        out[name] = value
      end
    end
  end)
  return out
end

--- Keys in a stable order: numbers, then strings.
function M.sorted_keys(t)
  local keys = {}
  for key in pairs(t) do
    keys[#keys + 1] = key
  end
  table.sort(keys, function(a, b)
    if type(a) == type(b) and type(a) ~= "boolean" and type(a) ~= "table" then
      return a < b
    end
    return type(a) < type(b)
  end)
  return keys
end

local scope_words = { g = "gateway", s = "site", r = "route" }

function Checker:wrong_scope(field)
  if not field.scopes or not self.scope or field.scopes:find(self.scope, 1, true) then
    return nil
  end
  local words = {}
  for letter in field.scopes:gmatch(".") do
    words[#words + 1] = scope_words[letter]
  end
  return ("'%s' belongs in %s, not in %s"):format(field.name, table.concat(words, " or "), scope_words[self.scope])
end

--- "'listen' belongs in gateway or site, not in route": the name is an option of another declaration.
local function belongs_elsewhere(kind, key)
  local schema = require "conf.schema"
  local here, others = nil, {}
  for _, name in ipairs { "gateway", "site", "route", "upstream" } do
    if schema[name] == kind then
      here = name
    elseif schema[name].by_name[key] then
      others[#others + 1] = name
    end
  end
  return here and others[1] and ("'%s' belongs in %s, not in %s"):format(key, table.concat(others, " or "), here) or nil
end

function Checker:unknown_option(kind, raw, key)
  local elsewhere = belongs_elsewhere(kind, key)
  local at = { holder = raw, key = key }
  if type(key) == "number" then
    return self:report(at, ("%s is not expected here: options are written name = value"):format(show(raw[key])))
  end
  if elsewhere then
    return self:report(at, elsewhere, { on_key = true })
  end
  local valid, here = {}, {}
  for _, name in ipairs(kind.names) do
    local f = kind.by_name[name]
    if not self:wrong_scope(f) and not f.type.later then
      valid[#valid + 1] = name
    end
    here[#here + 1] = name
  end
  local near = diag.nearest(tostring(key), here)
  local message = ("unknown option '%s'%s (valid: %s)"):format(tostring(key), near and ("; did you mean '%s'?"):format(near) or "",
    table.concat(valid, ", "))
  return self:report(at, message, { on_key = true })
end

function Checker:record(kind, raw, at)
  local out = self:typed({}, raw)
  self:within(at, function()
    for _, key in ipairs(M.sorted_keys(raw)) do
      local f = kind.by_name[key]
      local place = { holder = raw, key = key }
      if type(key) == "number" and kind.positional then
        out[#out + 1] = kind.positional:check(self, raw[key], place)
      elseif not f then
        self:unknown_option(kind, raw, key)
      elseif self:wrong_scope(f) then
        self:report(place, self:wrong_scope(f), { on_key = true })
      elseif not native.is_unknown(raw[key]) then
        out[key] = f.type:check(self, raw[key], place)
      end
    end
  end)
  return out
end

--- An upstream handle for what `proxy =`, `to =` and their like may say: a handle, a name, a URL or an address.
--- Returns the handle and, for a URL, its path.
function Checker:upstream(v, at)
  local loader = self.loader
  if native.kind_of(v) == "upstream" then
    local d = loader.decl_of[v]
    if d then
      d.used = true
      return v
    end
    return self:report(at, "the upstream has no table of options")
  elseif native.is_unknown(v) then
    return nil
  elseif type(v) ~= "string" then
    return self:bad(at, v, 'an upstream, its name, or an address such as "http://127.0.0.1:3000"')
  end
  local d = loader.upstreams[v]
  if d then
    d.used = true
    return d.handle
  end
  local scheme, name, path = upstreams.named(v)
  d = scheme and loader.upstreams[name]
  if d then -- "http://backend/base": the group with a path
    d.used = true
    return d.handle, path
  end
  local url, err = upstreams.parse_url(v)
  if url then
    return self:implicit_upstream(url, at), url.path
  end
  local names = {}
  for _, u in ipairs(loader.upstreams) do
    names[#names + 1] = u.name
  end
  local near = diag.nearest(v, names)
  return self:report(at, err or ("no upstream is named '%s'%s"):format(v, near and ("; did you mean '%s'?"):format(near) or ""))
end

--- The group of one peer behind `proxy = "http://127.0.0.1:3000"`; the same address always gives the same group.
function Checker:implicit_upstream(url, at)
  local name = url.origin
  local d = self.implicit[name]
  if not d then
    d = {
      kind = "upstream", name = name, at = self:locate(at), used = true, implicit = true, url = url,
      handle = { __upstream = true, name = name },
    }
    self.implicit[name] = d
    table.insert(self.implicit, d)
    self.loader.decl_of[d.handle] = d
  end
  return d.handle
end

--- A list of the model, made when there is none.
function Checker:model_list(name)
  self.model[name] = self.model[name] or {}
  return self.model[name]
end

--- The group without peers behind addresses that only requests make.
function Checker:made_upstream(at)
  local d = self.implicit["$"]
  if not d then
    local handle = { __upstream = true, name = "$" }
    d = { kind = "upstream", name = "$", at = self:locate(at), used = true, implicit = true, made = true, handle = handle }
    self.implicit["$"] = d
    table.insert(self.implicit, d)
    self.loader.decl_of[d.handle] = d
  end
  return d.handle
end

--- Checks the body of one declaration against a record; `scope` is g, s, r or nil.
---@return table typed
function M.declaration(c, d, kind, scope)
  c.scope, c.place, c.names = scope, d.at, scope == "r" and routes.names(d.name) or nil
  if not d.body then -- reported already: it has no table
    return {}
  end
  return kind:check(c, d.body, { holder = d.body, decl = d })
end

return M

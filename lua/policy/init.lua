--- Finds, loads and attaches policies, and keeps what a configuration composed of them.
---
---   local policies = require("policy").loader { read = read, dirs = { "/etc/gw/policies", ".../scripts" } }
---   local pol, err = policies:load("rate_limit")          -- once per name
---   local opt, errors = pol.options:check(raw, "", ctx)   -- nil options: pol takes none
---   local att, err = policies:attach(pol, opt, "gw.lua:12")
---   local inline = policies:inline({ access = fn }, "gw.lua:20")
---   local id, mask = policies:compose { att, inline }     -- route.hook_id and route.hooks
---
--- `read(path)` returns a file's bytes or nil and why: all bytes of a generation come through it.
local M = {}

--- In the order of enum conf_phase: the mask has 1 << (index - 1).
M.PHASES = { "rewrite", "access", "balance", "header", "body", "log" }

local bit_of = {}
for i, name in ipairs(M.PHASES) do
  bit_of[name] = 2 ^ (i - 1)
end

--- Index of the ctx parameter of each hook: one that does not declare it gets no table.
local CTX_AT = { rewrite = 2, access = 2, balance = 2, header = 3, body = 4, log = 3 }

---@class policy.Hook
---@field fn function
---@field wants_ctx boolean  the function declares the ctx parameter

---@class policy.Attachment
---@field name string       policy, or "inline"
---@field label string      where it was attached: "gateway.lua:12"
---@field on_error "deny"|"continue"
---@field hooks table<string, policy.Hook>
---@field init function|nil  runs once per generation and worker

local Loader = {}
Loader.__index = Loader

--- A loader of one generation.
---@param args { read: fun(path: string): (string|nil, string|nil), dirs: string[] }
---@return table
function M.loader(args)
  return setmetatable({ read = args.read, dirs = args.dirs, by_name = {}, composed = {}, attached = {} }, Loader)
end

local function is_policy(v)
  return type(v) == "table" and v.__policy == true
end

--- Name and source of the first file that exists, or nil and the places looked at.
function Loader:find(name)
  local tried = {}
  for _, dir in ipairs(self.dirs) do
    local path = dir .. "/" .. name .. ".lua"
    local text, why = self.read(path)
    if text then
      return path, text
    end
    tried[#tried + 1] = ("%s (%s)"):format(path, why or "not there")
  end
  return nil, "not found; looked for " .. table.concat(tried, ", ")
end

local function run_module(path, text)
  if text:sub(1, 1) == "\27" then
    return nil, path .. ": this is compiled Lua, not source text"
  end
  local chunk, err = loadstring(text, "@" .. path)
  if not chunk then
    return nil, err
  end
  local ok, result = xpcall(chunk, function(e)
    return type(e) == "string" and e or "error object is a " .. type(e)
  end)
  if not ok then
    return nil, result
  elseif not is_policy(result) then
    return nil, path .. ": a policy file returns mg.policy { … }, this one returned " .. type(result)
  end
  return result
end

--- The policy of this name.
---@param name string
---@return table|nil policy, string|nil error
function Loader:load(name)
  local known = self.by_name[name]
  if known then
    return known.policy, known.err
  end
  known = {}
  self.by_name[name] = known
  if not name:match("^[%w_][%w_./-]*$") or name:find("..", 1, true) then
    known.err = ("'%s' is not the name of a policy"):format(name)
    return nil, known.err
  end
  local path, text = self:find(name)
  if not path then
    known.err = ("policy '%s' %s"):format(name, text)
    return nil, known.err
  end
  known.path, known.text = path, text
  known.policy, known.err = run_module(path, text)
  if known.err then
    known.err = ("policy '%s' cannot be loaded: %s"):format(name, known.err)
  end
  return known.policy, known.err
end

--- Names that `load` would find, for "did you mean": those loaded so far and those we ship.
---@return string[]
function Loader:names()
  local names = {}
  for name, known in pairs(self.by_name) do
    if known.policy then
      names[#names + 1] = name
    end
  end
  for _, name in ipairs(M.SHIPPED) do
    names[#names + 1] = name
  end
  return names
end

M.SHIPPED = { "rate_limit", "key_auth", "ip_allow", "headers", "canary", "cors", "redirect", "request_id" }

local function hooks_of(table_of_functions, what)
  local hooks, any = {}, false
  for phase, fn in pairs(table_of_functions) do
    if phase == "init" then
      any = true
    elseif not bit_of[phase] then
      return nil, ("%s has no phase '%s' (valid: %s)"):format(what, tostring(phase), table.concat(M.PHASES, ", "))
    elseif type(fn) ~= "function" then
      return nil, ("%s: hook '%s' is a %s, not a function"):format(what, phase, type(fn))
    else
      local info = debug.getinfo(fn, "u")
      hooks[phase] = { fn = fn, wants_ctx = info.isvararg or info.nparams >= CTX_AT[phase] }
      any = true
    end
  end
  if not any then
    return nil, what .. " has no hooks"
  end
  return hooks
end

--- Runs the policy's `new` with checked options.
---@param policy table
---@param options any
---@param label string|nil  where it is attached, for messages
---@return policy.Attachment|nil, string|nil error
function Loader:attach(policy, options, label)
  local what = ("policy '%s'"):format(policy.name)
  local made = policy.hooks
  if policy.new then
    local ok, result = xpcall(policy.new, function(e)
      return type(e) == "string" and e or "error object is a " .. type(e)
    end, options == nil and {} or options)
    if not ok then
      return nil, ("%s: new failed: %s"):format(what, result)
    elseif type(result) ~= "table" then
      return nil, ("%s: new must return a table of hooks, it returned %s"):format(what, type(result))
    end
    made = result
  end
  local hooks, err = hooks_of(made, what)
  if not hooks then
    return nil, err
  end
  local out = {
    name = policy.name, label = label or policy.name, on_error = policy.on_error, hooks = hooks, init = made.init,
    policy = policy,
  }
  self.attached[#self.attached + 1] = out
  return out
end

--- Functions written in the configuration itself.
---@param functions table<string, function>
---@param label string|nil
---@return policy.Attachment|nil, string|nil error
function Loader:inline(functions, label)
  local hooks, err = hooks_of(functions, "on")
  if not hooks then
    return nil, err
  end
  return { name = "inline", label = label or "inline", on_error = "deny", hooks = hooks }
end

--- A route's attachments in the order they run. The same list gives the same id.
---@param list policy.Attachment[]
---@return integer id  -1 for an empty list
---@return integer mask
function Loader:compose(list)
  if #list == 0 then
    return -1, 0
  end
  local mask = 0
  for phase, bit in pairs(bit_of) do
    for _, attachment in ipairs(list) do
      if attachment.hooks[phase] then
        mask = mask + bit
        break
      end
    end
  end
  for id, other in ipairs(self.composed) do
    local same = #other == #list
    for i = 1, same and #list or 0 do
      same = same and other[i] == list[i]
    end
    if same then
      return id - 1, mask
    end
  end
  self.composed[#self.composed + 1] = list
  return #self.composed - 1, mask
end

--- For the core: composed[id + 1][phase] = { { fn, name, label, deny, wants_ctx }, … } as a flat list.
---@return table
function Loader:flatten()
  local out = {}
  for id, list in ipairs(self.composed) do
    local phases = {}
    for p, phase in ipairs(M.PHASES) do
      local flat = {}
      for _, a in ipairs(list) do
        local hook = a.hooks[phase]
        if hook then
          flat[#flat + 1] = { hook.fn, a.name, a.label, a.on_error ~= "continue", hook.wants_ctx }
        end
      end
      phases[p] = flat
    end
    out[id] = phases
  end
  return out
end

--- Functions to run once per generation and worker, with the policy's name.
---@return table[]
function Loader:inits()
  local out = {}
  for _, a in ipairs(self.attached) do
    if a.init then
      out[#out + 1] = { a.init, a.name }
    end
  end
  return out
end

--- What was loaded, for status: { name, path, text }, sorted by name.
---@return table[]
function Loader:sources()
  local out = {}
  for name, known in pairs(self.by_name) do
    if known.policy then
      out[#out + 1] = { name, known.path, known.text }
    end
  end
  table.sort(out, function(a, b)
    return a[1] < b[1]
  end)
  return out
end

--- Shared dictionaries the attached policies asked for: name → bytes.
---@return table<string, integer>
function Loader:dicts()
  local out = {}
  for _, a in ipairs(self.attached) do
    for name, size in pairs(a.policy.shared or {}) do
      out[name] = math.max(out[name] or 0, size)
    end
  end
  return out
end

return M

--- Finds and loads policy files, and turns what a configuration composed into the lists the core runs.
---
---   local policies = require("policy").loader { read = read, dirs = { "/etc/gw/policies", ".../scripts" } }
---   local pol, err = policies:load("rate_limit")   -- once per name
---
--- `read(path)` returns a file's bytes, or nil and why: all bytes of a generation come through it.
local M = {}

--- In the order of enum conf_phase: a route's mask has 1 << (index - 1).
M.PHASES = { "rewrite", "access", "balance", "header", "body", "log" }

--- Index of the ctx parameter of each hook: a function that does not declare it gets no table.
local CTX_AT = { rewrite = 2, access = 2, balance = 2, header = 3, body = 4, log = 3 }

local Loader = {}
Loader.__index = Loader

--- The loader of one generation.
---@param args { read: (fun(path: string): (string|nil, string|nil)), dirs: string[] }
---@return table
function M.loader(args)
  return setmetatable({ read = args.read, dirs = args.dirs, by_name = {}, inits = {} }, Loader)
end

--- Path and source of the first file that exists; or nil and the places looked at.
function Loader:find(name)
  local tried = {}
  for _, dir in ipairs(self.dirs) do
    local path = dir .. "/" .. name .. ".lua"
    local text, why = self.read(path)
    if text then
      return path, text
    end
    why = why and not why:find("No such file or directory", 1, true) and (" (%s)"):format(why) or ""
    tried[#tried + 1] = path .. why
  end
  return nil, "not found; looked for " .. table.concat(tried, ", ")
end

local function text_of(err)
  return type(err) == "string" and err or "error object is a " .. type(err)
end

local function run_module(path, text)
  if text:sub(1, 1) == "\27" then
    return nil, path .. ": this is compiled Lua, not source text"
  end
  local chunk, err = loadstring(text, "@" .. path)
  if not chunk then
    return nil, err
  end
  local ok, result = xpcall(chunk, text_of)
  if not ok then
    return nil, result
  elseif type(result) ~= "table" or result.__policy ~= true then
    return nil, ("%s: a policy file returns mg.policy { ... }, this one returned a %s"):format(path, type(result))
  end
  return result
end

--- A copy of the policy whose `new` notes what the gateway itself wants of an attachment.
local function watched(self, policy)
  local out = {}
  for k, v in pairs(policy) do
    out[k] = v
  end
  local count = 0
  out.new = function(options)
    count = count + 1
    local made = policy.new(options, { index = count })
    if type(made) == "table" and type(made.init) == "function" then
      self.inits[#self.inits + 1] = { made.init, policy.name }
    end
    out.used = true
    return made
  end
  return out
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
  local policy, err = run_module(path, text)
  if policy then
    known.policy = watched(self, policy)
  else
    known.err = ("policy '%s' cannot be loaded: %s"):format(name, err)
  end
  return known.policy, known.err
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

--- Shared dictionaries that policies in use asked for: name → bytes.
---@return table<string, integer>
function Loader:dicts()
  local out = {}
  for _, known in pairs(self.by_name) do
    if known.policy and known.policy.used then
      for name, size in pairs(known.policy.shared or {}) do
        out[name] = math.max(out[name] or 0, size)
      end
    end
  end
  return out
end

---@class policy.Entry
---@field fn function
---@field policy string|nil           nil: written in the configuration
---@field label string                where it was attached: "gateway.lua:12"
---@field on_error "deny"|"continue"

--- Name of a hook written in the configuration, "inline gateway.lua:12": the watchdog's quarantine is by name, and one hook that hangs must
--- not take every other inline hook with it.
local function inline_name(label)
  return "inline " .. label:match("[^/]*$")
end

--- For the core: out[id][phase] = list of { fn, name, label, deny, wants_ctx }.
---@param composed { entries: table<string, policy.Entry[]> }[]
---@return table
function M.flatten(composed)
  local out = {}
  for id, hooks in ipairs(composed) do
    local phases = {}
    for p, phase in ipairs(M.PHASES) do
      phases[p] = {}
      for i, entry in ipairs(hooks.entries[phase] or {}) do
        local info = debug.getinfo(entry.fn, "u")
        local wants_ctx = info.isvararg or info.nparams >= CTX_AT[phase]
        local name = entry.policy or inline_name(entry.label)
        phases[p][i] = { entry.fn, name, entry.label, entry.on_error ~= "continue", wants_ctx }
      end
    end
    out[id] = phases
  end
  return out
end

return M

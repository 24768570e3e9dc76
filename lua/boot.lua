--- The first module of every generation's Lua state: loads the configuration with its policies and hands the
--- core what it needs. `core` is the table of C functions (core/script/api_load.c).
local core = require "moongate.core"
local conf = require "conf"
local policy = require "policy"
-- Hooks ask for it when they first run; what is not read now is not part of the generation.
require "moongate"

local M = {}

local function folder_of(path)
  local dir = path and path:match("^(.*)/[^/]*$")
  if dir == "" then
    return "/"
  end
  return dir or "."
end

--- Where policies are looked for: beside the configuration first, then what is shipped.
local function policy_dirs(args)
  local base = args.path or "gateway.lua"
  if args.prefix and base:sub(1, 1) ~= "/" then
    base = args.prefix:gsub("/*$", "/") .. base
  end
  local dir = folder_of(base)
  return { dir .. "/policies", dir .. "/scripts", dir, args.share .. "/scripts" }
end

--- Modules beside the configuration can be required by policies.
local function extend_path(dirs)
  for i = 1, #dirs do
    package.path = ("%s/?.lua;%s"):format(dirs[#dirs + 1 - i], package.path)
  end
end

--- Dictionaries that policies need and the configuration does not mention.
local function add_dicts(gateway, wanted)
  gateway.dicts = gateway.dicts or {}
  local known = {}
  for _, dict in ipairs(gateway.dicts) do
    known[dict.name] = true
  end
  local names = {}
  for name in pairs(wanted) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    if not known[name] then
      table.insert(gateway.dicts, { name = name, size = wanted[name] })
    end
  end
end

local function plain(diags)
  local out = {}
  for _, d in ipairs(diags or {}) do
    if d.level ~= "note" then -- `check` is where notes are read
      out[#out + 1] = { d.level == "error", d.file or "", d.line or 0, d.col or 0, d.message or "", conf.format(d) }
    end
  end
  return out
end

---@class boot.Args
---@field path string|nil
---@field prefix string|nil
---@field share string
---@field run_args string[]|nil
---@field overrides string[]|nil

--- Loads everything. Returns diagnostics as plain tables and, without errors, the model and the hooks.
---@param args boot.Args
---@return table diags, table|nil model, table|nil hooks, table|nil inits, table|nil sources
function M.load(args)
  local dirs = policy_dirs(args)
  extend_path(dirs)
  local loader = policy.loader { read = core.read, dirs = dirs }
  local ok, model, diags = conf.load {
    path = args.path, prefix = args.prefix, run_args = args.run_args, overrides = args.overrides,
    reader = core.read, glob = core.glob, env = core.env,
    policies = function(name)
      return loader:load(name)
    end,
  }
  if not ok or not model then
    return plain(diags)
  end
  add_dicts(model.gateway, loader:dicts())
  return plain(diags), model.gateway, policy.flatten(model.hooks or {}), loader.inits, loader:sources()
end

return M

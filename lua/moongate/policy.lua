--- mg.policy: checks what a policy file returns.
local schema = require "moongate.schema"

local M = {}

local FIELDS = { name = true, doc = true, options = true, on_error = true, new = true, hooks = true, shared = true }

local function misuse(message, ...)
  error("mg.policy: " .. message:format(...), 3)
end

local function check_fields(def)
  for key in pairs(def) do
    if not FIELDS[key] then
      misuse("unknown field '%s' (valid: doc, hooks, name, new, on_error, options, shared)", tostring(key))
    end
  end
  if type(def.name) ~= "string" or not def.name:match("^[%w_][%w_.-]*$") then
    misuse("name must be a word such as \"rate_limit\"")
  elseif def.options ~= nil and (type(def.options) ~= "table" or type(def.options.check) ~= "function") then
    misuse("options of '%s' must be a type such as t.record { … }", def.name)
  elseif def.on_error ~= nil and def.on_error ~= "deny" and def.on_error ~= "continue" then
    misuse("on_error of '%s' must be \"deny\" or \"continue\"", def.name)
  elseif (def.new ~= nil) == (def.hooks ~= nil) then
    misuse("'%s' needs either new = function(options) … end or hooks = { … }", def.name)
  elseif def.new ~= nil and type(def.new) ~= "function" then
    misuse("new of '%s' must be a function", def.name)
  elseif def.hooks ~= nil and type(def.hooks) ~= "table" then
    misuse("hooks of '%s' must be a table of functions", def.name)
  end
end

local function sizes(def)
  local out = {}
  for name, size in pairs(def.shared or {}) do
    local bytes, errors = schema.size():check(size, name)
    if errors then
      misuse("shared of '%s': %s %s", def.name, errors[1].path, errors[1].message)
    end
    out[name] = bytes
  end
  return out
end

---@class moongate.Policy
---@field name string
---@field doc string|nil
---@field options moongate.Type|nil   nil: takes none
---@field on_error "deny"|"continue"  when a hook fails: answer 500 (default), or go on without it
---@field new (fun(options: table, at: { index: integer }): table<string, function>)|nil  once per attachment and
---generation; at.index counts the attachments of this policy
---@field hooks table<string, function>|nil  instead of new
---@field shared table<string, string>|nil  shared dictionaries it needs: name → size

--- Declares a policy; its file returns the result.
---@param def moongate.Policy
---@return moongate.Policy
function M.policy(def)
  if type(def) ~= "table" then
    error("mg.policy: expects a table", 2)
  end
  check_fields(def)
  local new = def.new or function()
    return def.hooks
  end
  return {
    __policy = true, name = def.name, doc = def.doc, on_error = def.on_error or "deny", new = new,
    options = def.options or schema.record {}, shared = sizes(def),
  }
end

return M

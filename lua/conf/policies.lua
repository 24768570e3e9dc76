--- Policies and inline hooks of one declaration: loads the module, checks its options, calls `new` once, and lists the functions of
--- every phase in the order written. The composition of scopes (gateway → site → route) happens here too; what runs them is the core.
local M = {}

--- Phases in the order of their bits in route.hooks (enum conf_phase).
M.phases = { "rewrite", "access", "balance", "header", "body", "log" }

---@class conf.HookEntry
---@field fn function
---@field policy string|nil        name of the policy; nil: inline
---@field on_error "deny"|"continue"
---@field label string             file:line of the attachment or of the function

--- Splits "limits.rate" or "to[2].x" or a list of keys into keys.
local function keys_of(path)
  if type(path) == "table" then
    return path
  end
  local keys = {}
  for name, index in tostring(path or ""):gmatch("([^%.%[%]]*)%[?(%d*)%]?%.?") do
    if name ~= "" then
      keys[#keys + 1] = tonumber(name) or name
    end
    if index ~= "" then
      keys[#keys + 1] = tonumber(index)
    end
  end
  return keys
end

--- Place of an option inside the table of a policy: as deep as the path leads.
local function option_place(d, path)
  local holder, place = d.body, d.at
  for _, key in ipairs(keys_of(path)) do
    if type(holder) ~= "table" then
      break
    end
    holder, place = holder[key], { holder = holder, key = key, decl = d }
  end
  return place
end

local function report_options(c, d, errors)
  if type(errors) == "string" then
    errors = { { path = "", message = errors } }
  end
  for _, e in ipairs(errors or {}) do
    c:report(option_place(d, e.path), ("policy '%s': %s"):format(d.name, e.message), { hint = e.hint })
  end
end

--- Raw options with upstream names left as they are and handles of declared upstreams marked as used.
local function note_upstreams(c, v, seen)
  if type(v) ~= "table" or seen[v] then
    return
  end
  seen[v] = true
  if rawget(v, "__upstream") then
    c:upstream(v)
    return
  end
  for _, item in pairs(v) do
    note_upstreams(c, item, seen)
  end
end

local function checked_options(c, d, module)
  local raw = d.body or {}
  note_upstreams(c, raw, {})
  if not module.options then
    if next(raw) ~= nil then
      c:report(d.at, ("policy '%s' takes no options"):format(d.name))
      return nil
    end
    return {}
  end
  local value, errors = module.options:check(raw, "", { upstreams = c:upstreams_by_name() })
  if value == nil then
    report_options(c, d, errors)
  end
  return value
end

local function entries_of(c, d, module, made)
  local known = {}
  local entries = {}
  for _, phase in ipairs(M.phases) do
    known[phase] = true
    local fn = made[phase]
    if type(fn) == "function" then
      entries[phase] = {
        fn = fn, policy = d.name, on_error = module.on_error or "deny", label = ("%s:%d"):format(d.at.file, d.at.line),
      }
    elseif fn ~= nil then
      c:report(d.at, ("policy '%s': '%s' must be a function, got %s"):format(d.name, phase, type(fn)))
    end
  end
  for name in pairs(made) do
    if not known[name] and name ~= "init" then
      c:report(d.at, ("policy '%s' returns '%s', which is no hook (hooks: %s)"):format(
        d.name, tostring(name), table.concat(M.phases, ", ")))
    end
  end
  return entries
end

--- One attachment: the hooks that `new` returned, or nil after a report. Made once however many routes inherit it.
local function attach(c, use)
  if use.entries ~= nil then
    return use.entries
  end
  use.entries = false
  local d = use.decl
  local module, err = c.loader.opts.policies(d.name, d.at)
  if not module then
    return c:report(d.arg, err or ("there is no policy '%s'"):format(tostring(d.name)))
  end
  local options = checked_options(c, d, module)
  if options == nil then
    return nil
  end
  local ok, made = xpcall(function()
    return module.new(options)
  end, function(e)
    return tostring(e)
  end)
  if not ok then
    return c:report(d.at, ("policy '%s' failed to start: %s"):format(d.name, made))
  elseif type(made) ~= "table" then
    return c:report(d.at, ("policy '%s': new must return a table of hooks, got %s"):format(d.name, type(made)))
  end
  use.entries = entries_of(c, d, module, made)
  return use.entries
end

--- Entries of one declaration: { list of { phase → entry } }, policies first, then the inline hooks.
---@param c table
---@param options table  typed options of the declaration
function M.of_scope(c, options)
  local out = {}
  for _, use in ipairs(options.use or {}) do
    local entries = attach(c, use)
    if entries then
      out[#out + 1] = entries
    end
  end
  if options.on then
    local inline = {}
    for _, phase in ipairs(M.phases) do
      local hook = options.on[phase]
      if hook then
        inline[phase] = { fn = hook.fn, on_error = "deny", label = hook.label, inline = true }
      end
    end
    if next(inline) then
      out[#out + 1] = inline
    end
  end
  return out
end

--- Composes the scopes of a route. Returns nil when no hook is attached.
---@param scopes { list: table[], use_off: boolean, on_off: boolean }[]  outermost first
---@return table|nil hooks, integer mask
function M.compose(scopes)
  local chain = {}
  for _, scope in ipairs(scopes) do
    local kept = {}
    for _, entries in ipairs(chain) do
      local _, any = next(entries)
      if not (scope.use_off and any.policy or scope.on_off and any.inline) then
        kept[#kept + 1] = entries
      end
    end
    chain = kept
    for _, entries in ipairs(scope.list) do
      chain[#chain + 1] = entries
    end
  end
  local hooks, mask, named = { policies = {}, entries = {} }, 0, {}
  for bit, phase in ipairs(M.phases) do
    for _, entries in ipairs(chain) do
      local e = entries[phase]
      if e then
        hooks[phase] = hooks[phase] or {}
        hooks.entries[phase] = hooks.entries[phase] or {}
        table.insert(hooks[phase], e.fn)
        table.insert(hooks.entries[phase], e)
        if e.policy and not named[e.policy] then
          named[e.policy] = true
          table.insert(hooks.policies, e.policy)
        end
      end
    end
    if hooks[phase] then
      mask = mask + 2 ^ (bit - 1)
    end
  end
  if mask == 0 then
    return nil, 0
  end
  return hooks, mask
end

return M

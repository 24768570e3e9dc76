--- access_log, log_format and error_log in the native form.
local args = require "nginx.native_args"
local units = require "nginx.units"

local M = {}

--- Formats of http by name.
local function formats(scope)
  while scope and scope.parent and scope.kind ~= "http" do
    scope = scope.parent
  end
  local found = {}
  for _, d in ipairs(scope and scope.node and scope.node.block or {}) do
    if d.name == "log_format" then
      local first = d.args[2] and d.args[2]:match("^escape=(.*)$")
      found[d.args[1]] = { text = table.concat(d.args, "", first and 3 or 2), escape = first }
    end
  end
  return found
end

local function options(parts, d, from)
  for i = from, #d.args do
    local key, value = d.args[i]:match("^(%a+)=(.*)$")
    if key == "buffer" then
      args.add(parts, "buffer", args.quote(value:lower()))
    elseif key == "flush" then
      args.add(parts, "flush", units.ms(value) and args.duration(value))
    elseif key == "if" then
      args.add(parts, "when", args.quote(value))
    elseif d.args[i]:find("^gzip") then
      args.add(parts, "gzip", value or "1")
    end
  end
end

local function access(d, known)
  local named = d.args[2] and not d.args[2]:find("=") and d.args[2] or nil
  local format = known[named or ""]
  local parts = { "path = " .. args.quote(d.args[1]) }
  args.add(parts, "format", args.quote(format and format.text or "combined"))
  args.add(parts, "escape", format and format.escape and format.escape ~= "default" and args.quote(format.escape))
  options(parts, d, named and 3 or 2)
  return ("{ %s }"):format(table.concat(parts, ", "))
end

--- The option; what is used is taken out of `all`.
---@param w table
---@param scope nginx.Scope|nil
---@param all table
---@param errors table[]|nil   error_log directives of the blocks around
function M.options(w, scope, all, errors)
  local nodes, own = args.take(all, "access_log"), args.take(all, "error_log") or errors
  local parts, list = {}, {}
  if nodes and nodes[1].args[1] == "off" then
    parts[1] = "access = false"
  elseif nodes then
    local known = formats(scope)
    for i, d in ipairs(nodes) do
      list[i] = access(d, known)
    end
    local indent = "\n" .. ("  "):rep(w.depth + 2)
    parts[1] = #list == 1 and "access = " .. list[1] or ("access = {%s%s }"):format(indent, table.concat(list, "," .. indent))
  end
  if own then
    args.add(parts, "error", args.quote(own[1].args[1] == "stderr" and "-" or own[1].args[1]))
    args.add(parts, "level", own[1].args[2] and args.quote(own[1].args[2]))
  end
  args.group(w, "log", parts)
end

return M

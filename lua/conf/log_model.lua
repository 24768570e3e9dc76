--- Logs of the model: the same path and settings always give the same log.
local schema = require "conf.schema"

local M = {}

--- A path with variables is a name made for each request.
local function place(one, path)
  if path:find("$", 1, true) then
    one.name = path
  else
    one.path = path
  end
end

local function index_of(b, access)
  local format = access.format or "json"
  local template = format == "combined" and schema.combined or format ~= "json" and format or nil
  local one = { format = template and "template" or "json", template = template }
  place(one, access.path or "-")
  one.when, one.buffer, one.flush, one.gzip, one.escape = access.when, access.buffer, access.flush, access.gzip, access.escape
  if one.name then
    one.buffer, one.flush, one.gzip = nil, nil, nil
  end
  local key = table.concat({ access.path or "-", template or "", one.when or "", tostring(one.buffer), tostring(one.flush),
    tostring(one.gzip), one.escape or "" }, "\0")
  if not b.logs[key] then
    table.insert(b.model.logs, one)
    b.logs[key] = #b.model.logs
  end
  return b.logs[key] - 1
end

--- Indexes of access logs; nil: none are written.
---@param b table         the builder
---@param log table|nil   the option, typed
---@return integer[]|nil
function M.access(b, log)
  local access = log and log.access
  if access == false then
    return nil
  end
  local refs = {}
  for i, one in ipairs(access and (access[1] and access or { access }) or { {} }) do
    refs[i] = index_of(b, one)
  end
  return refs
end

--- A site's or route's own error log.
local function errors(b, log)
  local path = log and log.error
  local own = b.options.log or {}
  if not path or path == own.error and (log.level or own.level) == own.level then
    return nil
  end
  local one = { path = path == "-" and "stderr" or path, level = log.level or "notice" }
  local list, key = b.c:model_list("error_logs"), "error\0" .. one.path .. "\0" .. one.level
  if not b.logs[key] then
    list[#list + 1] = one
    b.logs[key] = #list
  end
  return { b.logs[key] - 1 }
end

---@param b table         the builder
---@param r table         the route of the model
---@param log table|nil   the option as it holds
function M.fill(b, r, log)
  r.access_logs = M.access(b, log)
  r.error_logs = errors(b, log)
  r.log_subrequest = log and log.subrequests
end

return M

--- Logs: of errors and of accesses.
local log_levels = { debug = true, info = true, notice = true, warn = true, error = true, crit = true, alert = true, emerg = true }

--- error_log FILE [level]; false: nowhere (a buffer in memory, which only a debugger reads).
local function error_log(d, _, c)
  local level = d.args[2] or "error"
  if level:find("^debug_") then
    level = "debug"
  end
  if not log_levels[level] then
    return nil, ('invalid log level "%s"'):format(d.args[2])
  end
  local path = d.args[1]
  if path:find("^memory:") then
    c:note(d, '"%s" has no effect here', path)
    return false
  end
  local special = path == "stderr" or path:find("^syslog:")
  return { path = special and path or c:prefix_path(path), level = level }
end

--- Indexes of the error logs that a block names.
local function error_logs(list, c)
  local refs = {}
  for _, log in ipairs(list) do
    if log then
      refs[#refs + 1] = c:intern("error_logs", log.path .. "\0" .. log.level .. "\0" .. #refs, log)
    end
  end
  return refs
end

local function gateway(main, g, c)
  local own = main:own("error_log")
  g.own_error_logs = own and error_logs(own, c)
  g.error_level = "error" -- where none is named
end

local function route(scope, r, c)
  local said = scope:said("error_log")
  if said and said.kind ~= "main" then
    r.error_logs = error_logs(said:own("error_log"), c)
  end
end

return {
  directives = {
    error_log = { where = "main http server location if", args = "1+", many = true, parse = error_log },
  },
  gateway = gateway,
  route = route,
}

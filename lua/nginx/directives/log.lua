--- Logs: of errors and of accesses.
local units = require "nginx.units"

local BUFFER_MAX, GZIP_BUFFER = 64 * 1024 * 1024, 65536

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

local combined = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'

--- log_format NAME [escape=...] PIECES...
local function log_format(d, scope, c)
  local name, first, escape = d.args[1], 2, "default"
  scope.formats = scope.formats or { combined = { template = combined, escape = "default" } }
  if scope.formats[name] then
    return nil, ('duplicate "log_format" name "%s"'):format(name)
  end
  local said = d.args[2]:match("^escape=(.*)$")
  if said then
    if said ~= "default" and said ~= "json" and said ~= "none" then
      return nil, ('unknown log format escaping "%s"'):format(said)
    end
    escape, first = said, 3
  end
  if not d.args[first] then
    c:error(d, 'invalid number of arguments in "log_format" directive')
  end
  scope.formats[name] = { template = table.concat(d.args, "", first), escape = escape }
  return true
end

--- Options of access_log: each fills a field of the log or says what is wrong.
local options = {
  buffer = function(log, v)
    log.buffer = units.bytes(v)
    return log.buffer and log.buffer > 0 and log.buffer <= BUFFER_MAX, "invalid buffer size"
  end,
  flush = function(log, v)
    log.flush = units.ms(v)
    return log.flush and log.flush > 0, "invalid flush time"
  end,
  gzip = function(log, v)
    log.gzip = units.integer(v)
    return log.gzip and log.gzip >= 1 and log.gzip <= 9, "invalid compression level"
  end,
  ["if"] = function(log, v)
    log.when = v
    return v ~= "", "invalid parameter"
  end,
}

--- access_log PATH [FORMAT] [buffer=] [gzip[=]] [flush=] [if=]; false: off.
local function access_log(d, _, c)
  local path = d.args[1]
  if path == "off" then
    if d.args[2] then
      return nil, ('invalid parameter "%s"'):format(d.args[2])
    end
    return false
  end
  local syslog = path:find("^syslog:")
  local log = { format = "combined", at = d, path = syslog and path or c:prefix_path(path), named = not syslog and path:find("$", 1, true) }
  for i = 2, #d.args do
    local arg = d.args[i]
    local key, value = arg:match("^(%a+)=(.*)$")
    if arg == "gzip" then
      key, value = "gzip", "1"
    end
    if key and options[key] then
      local ok, wrong = options[key](log, value)
      if not ok then
        return nil, ('%s "%s"'):format(wrong, value)
      end
    elseif i == 2 then
      log.format = arg
    else
      return nil, ('invalid parameter "%s"'):format(arg)
    end
  end
  if log.flush and not log.buffer and not log.gzip then
    return nil, ('no buffer is defined for access_log "%s"'):format(path)
  elseif log.named and (log.buffer or log.gzip) then
    return nil, "buffered logs cannot have variables in name"
  end
  if log.gzip then
    log.buffer = log.buffer or GZIP_BUFFER
  end
  return log
end

--- The format, which may be defined after its use.
local function format_of(log, formats, c)
  local format = formats[log.format]
  if not format then
    c:error(log.at, 'unknown log format "%s"', log.format)
  end
  return format or { template = "", escape = "default" }
end

--- Index in gateway.logs.
local function intern(log, formats, kept, c)
  local format = format_of(log, formats, c)
  local one = {
    format = "template", template = format.template, escape = format.escape, buffer = log.buffer or 0, flush = log.flush or 0,
    gzip = log.gzip, when = log.when, optional = log.optional,
  }
  one[log.named and "name" or "path"] = log.path
  if log.named and kept then
    one.kept, one.kept_uses, one.kept_unused, one.kept_unseen = kept.max, kept.min_uses, kept.inactive, kept.valid
  end
  local key = { log.path, log.format, one.buffer, one.flush, log.gzip or 0, log.when or "", tostring(kept) }
  return (c:intern("logs", table.concat(key, "\0"), one))
end

local function http_of(scope)
  while scope.kind ~= "http" do
    scope = scope.parent
  end
  return scope
end

local function access_logs(scope, c)
  local said = scope:said("access_log")
  local list = said and said:own("access_log") or { { format = "combined", path = c:prefix_path("logs/access.log"), optional = true } }
  local formats = http_of(scope).formats or { combined = { template = combined, escape = "default" } }
  local refs = {}
  for _, log in ipairs(list) do
    if not log then
      return {} -- off
    end
    refs[#refs + 1] = intern(log, formats, scope:get("open_log_file_cache"), c)
  end
  return refs
end

local function gateway(main, g, c)
  local own = main:own("error_log")
  g.own_error_logs = own and error_logs(own, c)
  g.error_level = "error" -- where none is named
end

local function route(scope, r, c)
  r.access_logs = access_logs(scope, c)
  r.log_subrequest = scope:get("log_subrequest") or nil
  local said = scope:said("error_log")
  if said and said.kind ~= "main" then
    r.error_logs = error_logs(said:own("error_log"), c)
  end
end

return {
  directives = {
    access_log = { where = "http server location if limit_except", args = "1+", many = true, parse = access_log },
    open_log_file_cache = { where = "http server location", args = { 1, 4 }, parse = units.file_cache { min_uses = units.integer } },
    log_format = { where = "http", args = "2+", many = true, parse = log_format },
    log_subrequest = { where = "http server location", args = 1, parse = units.onoff, default = false },
    error_log = { where = "main http server location if", args = "1+", many = true, parse = error_log },
  },
  gateway = gateway,
  route = route,
}

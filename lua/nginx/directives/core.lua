--- Directives of the main and events contexts: the process.
local units = require "nginx.units"

local function noop(where, args)
  return { where = where, args = args, noop = true }
end

local function open_http(_, scope)
  scope.parent.http = scope
end

local function user(d)
  return { user = d.args[1], group = d.args[2] }
end

local function workers(d)
  if d.args[1] == "auto" then
    return 0
  end
  local n = units.integer(d.args[1])
  if not n or n == 0 then
    return nil, "invalid value"
  end
  return n
end

local function pid(d, _, c)
  return c:prefix_path(d.args[1])
end

local log_levels = { debug = true, info = true, notice = true, warn = true, error = true, crit = true, alert = true, emerg = true }

--- error_log FILE [level]; the last one said in a block wins here.
local function error_log(d, _, c)
  local level = d.args[2] or "error"
  if level:find("^debug_") then
    level = "debug"
  end
  if not log_levels[level] then
    return nil, ('invalid log level "%s"'):format(d.args[2])
  end
  local path = d.args[1]
  local special = path == "stderr" or path:find("^syslog:") or path:find("^memory:")
  return { path = special and path or c:prefix_path(path), level = level }
end

local function gateway(main, g, c)
  if #main:each("events") == 0 then
    c:error({ file = main.node.file }, 'no "events" section in configuration')
  end
  local u = main:own("user")
  g.user, g.group = u and u.user, u and u.group
  g.workers = main:own("worker_processes") or 1
  g.pid = main:own("pid")
  local logs = main:own("error_log")
  if logs then
    local log = logs[#logs]
    g.error_log = log.path ~= "stderr" and log.path or nil
    g.error_level = log.level
  end
  g.shutdown_timeout = main:own("worker_shutdown_timeout")
end

return {
  directives = {
    events = { where = "main", args = 0, block = "events", once = true },
    http = { where = "main", args = 0, block = "http", once = true, open = open_http },
    user = { where = "main", args = { 1, 2 }, parse = user },
    worker_processes = { where = "main", args = 1, parse = workers },
    worker_shutdown_timeout = { where = "main", args = 1, parse = units.time },
    pid = { where = "main", args = 1, parse = pid },
    error_log = { where = "main http server location if", args = "1+", many = true, parse = error_log },
    daemon = { where = "main", args = 1, parse = units.onoff, default = true },
    master_process = { where = "main", args = 1, parse = units.onoff, default = true },
    worker_rlimit_nofile = noop("main", 1), worker_rlimit_core = noop("main", 1), worker_priority = noop("main", 1),
    worker_cpu_affinity = noop("main", "1+"), working_directory = noop("main", 1), timer_resolution = noop("main", 1),
    pcre_jit = noop("main", 1), ssl_engine = noop("main", 1), lock_file = noop("main", 1), load_module = noop("main", 1),
    env = noop("main", 1), thread_pool = noop("main", { 2, 3 }), debug_points = noop("main", 1),
    worker_connections = noop("events", 1), use = noop("events", 1), multi_accept = noop("events", 1), accept_mutex = noop("events", 1),
    accept_mutex_delay = noop("events", 1), debug_connection = noop("events", 1), worker_aio_requests = noop("events", 1),
  },
  gateway = gateway,
}

--- Directives of the main and events contexts: the process.
local units = require "nginx.units"

--- nginx waits for the end of what is in flight as long as it takes.
local FOREVER = 31536000000

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

--- Files in the order they were read, for -T.
local function sources(c)
  local list = {}
  for file in pairs(c.diags.sources) do
    if file ~= "command line" then
      list[#list + 1] = file
    end
  end
  table.sort(list, function(a, b)
    return c.diags.order[a] < c.diags.order[b]
  end)
  return list
end

local function gateway(main, g, c)
  if #main:each("events") == 0 then
    c:error({ file = main.node.file }, 'no "events" section in configuration')
  end
  local u = main:own("user")
  g.user, g.group = u and u.user, u and u.group
  g.workers = main:own("worker_processes") or 1
  g.pid = main:own("pid")
  local patience = main:own("worker_shutdown_timeout")
  g.shutdown_timeout, g.generation_timeout = patience or FOREVER, patience
  g.daemon = main:get("daemon")
  g.manners = "nginx"
  g.sources = sources(c)
end

return {
  directives = {
    events = { where = "main", args = 0, block = "events", once = true },
    http = { where = "main", args = 0, block = "http", once = true, open = open_http },
    user = { where = "main", args = { 1, 2 }, parse = user },
    worker_processes = { where = "main", args = 1, parse = workers },
    worker_shutdown_timeout = { where = "main", args = 1, parse = units.time },
    pid = { where = "main", args = 1, parse = pid },
    daemon = { where = "main", args = 1, parse = units.onoff, default = true },
    master_process = { where = "main", args = 1, parse = units.onoff, default = true },
    worker_rlimit_nofile = noop("main", 1), worker_rlimit_core = noop("main", 1), worker_priority = noop("main", 1),
    worker_cpu_affinity = noop("main", "1+"), working_directory = noop("main", 1), timer_resolution = noop("main", 1),
    pcre_jit = noop("main", 1), ssl_engine = noop("main", 1),
    ssl_object_cache_inheritable = noop("main", 1), lock_file = noop("main", 1), load_module = noop("main", 1),
    env = noop("main", 1), thread_pool = noop("main", { 2, 3 }), debug_points = noop("main", 1),
    worker_connections = noop("events", 1), use = noop("events", 1), multi_accept = noop("events", 1), accept_mutex = noop("events", 1),
    accept_mutex_delay = noop("events", 1), debug_connection = noop("events", 1), worker_aio_requests = noop("events", 1),
  },
  gateway = gateway,
}

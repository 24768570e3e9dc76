--- Commands to a running gateway, for the specs of this folder.
local cjson = require("cjson")
local gateway = require("spec.support.gateway")

local M = {}

--- Runs `moongate <arguments> -c <configuration of gw>` to its end.
---@param gw spec.Gateway
---@return spec.Gateway  with .status, :stdout(), :stderr()
function M.run(gw, ...)
  local args = { ... }
  args[#args + 1] = "-c"
  args[#args + 1] = gw.dir .. "/" .. gw.name
  return gateway.exec(nil, { args = args })
end

--- The status page as a table.
---@param gw spec.Gateway
---@return table
function M.status(gw)
  local done = M.run(gw, "status", "--json")
  assert(done.status == 0, done:stderr())
  return cjson.decode(done:stdout())
end

--- Reloads through the admin socket with a new configuration (when given); the finished command.
---@param gw spec.Gateway
---@param config? string
---@return spec.Gateway
function M.reload(gw, config)
  if config then
    gw:write(gw.name, config)
  end
  return M.run(gw, "reload")
end

--- The pids of the workers that run.
---@param gw spec.Gateway
---@return integer[]
function M.workers(gw)
  local pids = {}
  for _, worker in ipairs(M.status(gw).workers) do
    if worker.state == "running" then
      pids[#pids + 1] = worker.pid
    end
  end
  return pids
end

--- A value of /proc/<pid>/status.
---@param pid integer
---@param name string
---@return string?
function M.proc(pid, name)
  local file = io.open("/proc/" .. pid .. "/status")
  local text = file and file:read("*a") or ""
  if file then
    file:close()
  end
  return text:match("\n" .. name .. ":%s*([^\n]+)")
end

--- Is there such a process, and not only its unread exit status?
---@param pid integer
---@return boolean
function M.is_alive(pid)
  local state = M.proc(pid, "State")
  return state ~= nil and state:sub(1, 1) ~= "Z"
end

--- A configuration that answers `text` on a free port.
---@param text string
---@param options? string  more fields of gateway {}
---@return string
function M.answering(text, options)
  return ([[
    gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, %s }
    site "*" { route "/*" { on = { access = function(req) return req:reply(200, %q) end } } }
  ]]):format(options or "", text)
end

return M

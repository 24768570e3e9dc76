--- What the specs of examples/ share: a copy of an example to run and edit, and its services as real processes.
local socket = require("posix.sys.socket")
local unistd = require("posix.unistd")
local gateway = require("spec.support.gateway")
local tmp = require("spec.support.tmp")

local M = {}

--- A copy of examples/NAME that a spec may edit.
---@param name string
---@return string dir
function M.copy(name)
  local dir = tmp.dir()
  assert(os.execute(("cp -r examples/%s/. '%s'"):format(name, dir)) == 0)
  return dir
end

--- A port that was free a moment ago, for what cannot take port 0: below the range that the kernel gives to other sockets, so that only
--- another caller of this function could take it meanwhile.
---@return integer
function M.free_port()
  for _ = 1, 100 do
    local port = math.random(22000, 31999)
    local fd = assert(socket.socket(socket.AF_INET, socket.SOCK_STREAM, 0))
    local ok = socket.bind(fd, { family = socket.AF_INET, addr = "127.0.0.1", port = port })
    unistd.close(fd)
    if ok then
      return port
    end
  end
  error("no free port found", 2)
end

math.randomseed(unistd.getpid())

--- Where a program is.
---@param name string
---@return string path
function M.program(name)
  for folder in ("/usr/bin:" .. os.getenv("PATH")):gmatch("[^:]+") do
    local path = folder .. "/" .. name
    if unistd.access(path, "x") then
      return path
    end
  end
  error(name .. " is missing (run `make deps`)", 2)
end

--- Starts examples/services/FILE as service NAME on a free port; it ends with the spec (or suite).
---@param file "app.js"|"app.py"
---@param name string
---@return spec.Gateway  a process with .port and .pid
function M.service(file, name)
  local program = file:find("%.js$") and "node" or "python3"
  return gateway.start("", {
    binary = M.program(program), args = { "examples/services/" .. file }, name = "unused",
    env = { PORT = "0", NAME = name }, listeners = 1,
  })
end

--- Runs the gateway of an example's copy.
---@param dir string
---@param env table<string, string>
---@param listeners? integer
---@return spec.Gateway
function M.gateway(dir, env, listeners)
  return gateway.start("", {
    args = { "run", dir .. "/gateway.lua" }, name = "unused", env = env, listeners = listeners or 1, seconds = 20,
  })
end

--- Runs a configuration in nginx syntax, with some texts replaced (ports, mostly).
---@param name string  folder of examples/
---@param changes table<string, string>
---@return spec.Gateway
function M.nginx(name, changes)
  local dir = M.copy(name)
  local text = assert(tmp.read(dir .. "/nginx.conf"))
  for from, to in pairs(changes) do
    local n
    text, n = text:gsub(from:gsub("%p", "%%%0"), (to:gsub("%%", "%%%%")))
    assert(n > 0, from .. " is not in the example")
  end
  tmp.write(dir, "nginx.conf", text)
  local args = { "-p", dir, "-c", "nginx.conf", "-g", "daemon off; user root;" }
  return gateway.start("", { args = args, name = "unused", listeners = 1, seconds = 20 })
end

return M

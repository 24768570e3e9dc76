--- A real Redis server for a spec: on a unix socket (no port to fight for), without files, ended with the spec.
local signal = require("posix.signal")
local unistd = require("posix.unistd")
local syswait = require("posix.sys.wait")
local run = require("spec.support.run")
local socket = require("cqueues.socket")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local M = {}

local Server = {}
Server.__index = Server

local alive = {}
M.guard = newproxy(true)
getmetatable(M.guard).__gc = function()
  for pid in pairs(alive) do
    signal.kill(pid, signal.SIGKILL)
  end
end

local function answers(path)
  local s = socket.connect { path = path }
  s:onerror(function(_, _, why) return why end)
  local ok = s:connect(0.5)
  s:close()
  return ok ~= nil
end

local function spawn(self)
  local dir = self.dir
  local pid = assert(unistd.fork())
  if pid == 0 then
    local list = { "--port", "0", "--unixsocket", self.path, "--unixsocketperm", "777", "--save", "", "--appendonly", "no",
      "--dir", dir, "--logfile", dir .. "/log" }
    for _, v in ipairs(self.arguments or {}) do
      list[#list + 1] = v
    end
    require("posix.stdlib").setenv("LD_PRELOAD", nil)
    unistd.execp("redis-server", list)
    unistd._exit(127)
  end
  alive[pid] = true
  return pid
end

function Server:start_again()
  self.pid = spawn(self)
  wait.till(function() return answers(self.path) end, "redis-server answers", 10)
end

function Server:stop()
  if self.pid then
    signal.kill(self.pid, signal.SIGKILL)
    syswait.wait(self.pid)
    alive[self.pid], self.pid = nil, nil
  end
end

--- Starts a server; `arguments` are added to its command line.
---@param arguments? string[]
---@return table  { address, stop(), start_again() }
function M.start(arguments)
  local dir = tmp.dir()
  local path = dir .. "/redis.sock"
  local self = setmetatable({ dir = dir, path = path, address = "unix:" .. path, arguments = arguments }, Server)
  run.defer(function() self:stop() end)
  self:start_again()
  return self
end

return M

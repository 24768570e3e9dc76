--- A real HTTP/2 origin (Node's http2) for a spec; see h2_origin.js for what it answers.
local fcntl = require("posix.fcntl")
local signal = require("posix.signal")
local syswait = require("posix.sys.wait")
local unistd = require("posix.unistd")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local M = {}

local alive = {}
M.guard = newproxy(true)
getmetatable(M.guard).__gc = function()
  for pid in pairs(alive) do
    signal.kill(pid, signal.SIGKILL)
  end
end

local function read(path)
  local f = io.open(path)
  local text = f and f:read("*a") or ""
  if f then
    f:close()
  end
  return text
end

--- Runs a server program that says its port on its first line; it ends with the spec.
---@param program string
---@param arguments string[]
---@return { port: integer, log: fun(): string }
function M.serve(program, arguments)
  local dir = tmp.dir()
  local pid = assert(unistd.fork())
  if pid == 0 then
    local flags = fcntl.O_WRONLY + fcntl.O_CREAT
    unistd.dup2(assert(fcntl.open(dir .. "/out", flags, 420)), 1)
    unistd.dup2(assert(fcntl.open(dir .. "/err", flags, 420)), 2)
    require("posix.stdlib").setenv("LD_PRELOAD", nil)
    unistd.execp(program, arguments)
    unistd._exit(127)
  end
  alive[pid] = true
  run.defer(function()
    signal.kill(pid, signal.SIGKILL)
    syswait.wait(pid)
    alive[pid] = nil
  end)
  wait.till(function() return read(dir .. "/out"):match("^%d+\n") end, program .. " says its port", 15)
  return {
    port = tonumber(read(dir .. "/out"):match("^%d+")),
    log = function() return read(dir .. "/err") end,
  }
end

--- Starts the origin; with `files` { cert, key } under TLS.
function M.start(files)
  return M.serve("node", { "spec/support/h2_origin.js", files and files.cert, files and files.key })
end

return M

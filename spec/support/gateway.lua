--- A real gateway process around a spec: writes a configuration to a temporary directory, starts
--- $MOONGATE (or build/moongate) with it in the foreground, and knows its ports from the log.
---
---   local gw = gateway.start(([[
---     gateway { listen = "127.0.0.1:0", workers = 1 }
---     site "*" { proxy = "http://127.0.0.1:%d" }
---   ]]):format(o.port))
---   client.get(gw.port, "/")
---
--- It ends with the spec (or suite); a sanitizer report, a failed requirement or a worker that died of
--- a signal fails the spec unless `may_crash`.
local signal = require("posix.signal")
local stdlib = require("posix.stdlib")
local unistd = require("posix.unistd")
local syswait = require("posix.sys.wait")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local M = {}

---@class spec.Gateway
---@field pid integer
---@field port integer  the first listener's
---@field ports integer[]  in the order of the configuration
---@field addresses string[]  as logged: "127.0.0.1:4711", "unix:/path"
---@field dir string  its temporary directory, also the prefix
---@field status integer|string|nil  exit status, or "signal 9", once it has ended
local Gateway = {}
Gateway.__index = Gateway

-- Whatever happens to the Lua state, no gateway stays behind.
local alive = {}
M.guard = newproxy(true)
getmetatable(M.guard).__gc = function()
  for pid in pairs(alive) do
    signal.kill(-pid, signal.SIGKILL)
  end
end

--- The binary under test.
---@return string
function M.binary()
  return os.getenv("MOONGATE") or "build/moongate"
end

local function child_environment(extra)
  stdlib.setenv("LD_PRELOAD", nil)
  if os.getenv("MG_ASAN") then
    local leaks = os.getenv("MG_LEAKS") or "1"
    stdlib.setenv("ASAN_OPTIONS", "abort_on_error=0:exitcode=99:detect_leaks=" .. leaks)
    stdlib.setenv("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
    local suppressions = unistd.getcwd() .. "/tools/lsan.supp"
    stdlib.setenv("LSAN_OPTIONS", "print_suppressions=0:suppressions=" .. suppressions)
  end
  for name, value in pairs(extra or {}) do
    stdlib.setenv(name, value or nil)
  end
end

local function redirect(path, fd)
  local fcntl = require("posix.fcntl")
  local flags = fcntl.O_WRONLY + fcntl.O_CREAT + fcntl.O_APPEND
  unistd.dup2(assert(fcntl.open(path, flags, 420)), fd) -- 0644
end

--- Forks and executes; stdout and stderr go to files in `dir`. The child leads its own process group.
local function spawn(arguments, dir, options)
  local binary = options.binary or M.binary()
  if not unistd.access(binary, "x") then
    error(binary .. " is missing (run `make`)", 3)
  end
  io.stdout:flush()
  local pid = assert(unistd.fork())
  if pid ~= 0 then
    alive[pid] = true
    return pid
  end
  local ok, err = pcall(function()
    unistd.setpid("p", 0, 0)
    child_environment(options.env)
    redirect("/dev/null", 0)
    redirect(dir .. "/stdout", 1)
    redirect(dir .. "/stderr", 2)
    for fd = 3, 255 do
      unistd.close(fd)
    end
    return unistd.execp(binary, arguments)
  end)
  io.stderr:write("cannot execute ", binary, ": ", tostring(err or ok), "\n")
  io.stderr:flush()
  unistd._exit(127)
end

--- Everything the gateway wrote to stderr so far.
---@return string
function Gateway:stderr()
  return tmp.read(self.dir .. "/stderr") or ""
end

--- Everything the gateway wrote to stdout so far.
---@return string
function Gateway:stdout()
  return tmp.read(self.dir .. "/stdout") or ""
end

--- Has the process ended? Fills `status`.
---@return boolean
function Gateway:has_ended()
  if self.status == nil then
    local pid, how, code = syswait.wait(self.pid, syswait.WNOHANG)
    if pid and pid ~= 0 then
      self.status = how == "exited" and code or ("signal " .. tostring(code))
      alive[self.pid] = nil
    end
  end
  return self.status ~= nil
end

--- Waits for the end (bounded).
---@param seconds? number
---@return integer|string status  exit status or "signal N"
function Gateway:wait_end(seconds)
  wait.till(function()
    return self:has_ended()
  end, "the gateway's end; it said: " .. self:stderr(), seconds or 10)
  return self.status
end

--- Sends a signal by number or name: "HUP".
---@param sig integer|string
function Gateway:signal(sig)
  signal.kill(self.pid, type(sig) == "string" and signal["SIG" .. sig] or sig)
end

--- Asks it to end ("QUIT" = graceful, the default; "TERM" = now) and waits.
---@param sig? integer|string
---@param seconds? number
---@return integer|string status
function Gateway:stop(sig, seconds)
  if not self:has_ended() then
    self:signal(sig or "QUIT")
  end
  return self:wait_end(seconds)
end

--- Waits until stderr, from byte `from` on, has a match of the Lua pattern; returns its captures.
---@param pattern string
---@param from? integer
---@param seconds? number
---@return string ...
function Gateway:wait_log(pattern, from, seconds)
  local found = wait.till(function()
    local captures = { self:stderr():match(pattern, from or 1) }
    return captures[1] ~= nil and captures
  end, "the log to say '" .. pattern .. "'", seconds)
  return unpack(found)
end

--- The length of the log so far plus one: `from` of wait_log for what comes now.
---@return integer
function Gateway:mark()
  return #self:stderr() + 1
end

--- Replaces the configuration (when given) and sends HUP.
---@param config? string
function Gateway:reload(config)
  if config then
    tmp.write(self.dir, self.name, config)
  end
  self:signal("HUP")
end

--- Writes a file beside the configuration.
---@param name string
---@param text string
---@return string path
function Gateway:write(name, text)
  return tmp.write(self.dir, name, text)
end

local complaints = {
  "ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:", "requirement failed",
  "UndefinedBehaviorSanitizer",
}

local function check_log(self)
  local text = self:stderr()
  for _, complaint in ipairs(complaints) do
    local at = text:find(complaint, 1, true)
    if at then
      error("the gateway complained:\n" .. text:sub(math.max(1, at - 300), at + 4000), 0)
    end
  end
  if type(self.status) == "string" and self.status ~= "signal 9" and self.status ~= "signal 15" then
    error("the gateway died of " .. self.status .. ":\n" .. text:sub(-3000), 0)
  end
end

--- Ends the process whatever it takes; the log is judged unless it may crash.
local function finish(self)
  if not self:has_ended() then
    self:signal("TERM")
    local stopped = pcall(self.wait_end, self, self.end_seconds)
    if not stopped then
      signal.kill(-self.pid, signal.SIGKILL)
      self:wait_end(5)
      if not self.may_crash then
        error("the gateway did not end on SIGTERM; it said:\n" .. self:stderr():sub(-3000), 0)
      end
    end
  end
  if not self.may_crash then
    check_log(self)
  end
end

--- Listeners that a configuration asks for, as far as its text shows.
local function expected_listeners(config)
  local _, count = config:gsub(":0%f[^%d]", "")
  return math.max(count, 1)
end

local function read_listeners(self)
  self.addresses, self.ports = {}, {}
  for address in self:stderr():gmatch("listening on ([^%s\"',}]+)") do
    self.addresses[#self.addresses + 1] = address
    self.ports[#self.ports + 1] = tonumber(address:match(":(%d+)$"))
  end
  self.port = self.ports[1]
  return #self.addresses
end

local function write_files(self, config, options)
  for name, text in pairs(options.files or {}) do
    tmp.write(self.dir, name, text)
  end
  return tmp.write(self.dir, self.name, config)
end

---@class spec.GatewayOptions
---@field files? table<string, string>  written beside the configuration
---@field name? string  of the configuration; default gateway.lua
---@field args? string[]  instead of { "run", FILE }; "{conf}" and "{dir}" are replaced
---@field env? table<string, string|false>
---@field listeners? integer  how many to wait for; default: the number of ":0" in the configuration
---@field may_crash? boolean
---@field end_seconds? number  after SIGTERM at the end of the spec; then SIGKILL and a failure
---@field binary? string  instead of M.binary()
---@field seconds? number  to wait for the start

local function arguments_of(self, path, options)
  local arguments = {}
  for i, argument in ipairs(options.args or { "run", "{conf}" }) do
    arguments[i] = argument:gsub("{conf}", path):gsub("{dir}", self.dir)
  end
  return arguments
end

--- Starts a gateway and waits until it listens. An error with its log when it ends instead.
---@param config string
---@param options? spec.GatewayOptions
---@return spec.Gateway
function M.start(config, options)
  options = options or {}
  local self = setmetatable({ dir = tmp.dir(), name = options.name or "gateway.lua",
    may_crash = options.may_crash, end_seconds = options.end_seconds or 5 }, Gateway)
  local path = write_files(self, config, options)
  self.pid = spawn(arguments_of(self, path, options), self.dir, options)
  run.defer(function()
    finish(self)
  end)
  local wanted = options.listeners or expected_listeners(config)
  wait.till(function()
    if self:has_ended() then
      self.may_crash = true
      error("the gateway did not start (" .. tostring(self.status) .. "): " .. self:stderr(), 0)
    end
    return read_listeners(self) >= wanted
  end, wanted .. " listeners", options.seconds or 10)
  return self
end

--- Runs the binary to its end: for bad configurations and for commands (check, schema, -t).
---@param config string?  written as options.name when given
---@param options? spec.GatewayOptions
---@return spec.Gateway  with .status, :stdout(), :stderr()
function M.exec(config, options)
  options = options or {}
  local self = setmetatable({ dir = tmp.dir(), name = options.name or "gateway.lua",
    may_crash = options.may_crash, end_seconds = options.end_seconds or 5 }, Gateway)
  local path = write_files(self, config or "", options)
  self.pid = spawn(arguments_of(self, path, options), self.dir, options)
  run.defer(function()
    finish(self)
  end)
  self:wait_end(options.seconds or 20)
  return self
end

return M

--- What the trials share: processes of their own for origin and load, a steady load that measures, memory of a process, tables.
--- A trial is a module with `run(options)` that returns figures, and a program when it is called by its own name; spec/trials calls
--- the same functions with small numbers. Run from the top of the repository.
local cjson = require("cjson")
local cqueues = require("cqueues")
local socket = require("cqueues.socket")
local gateway = require("spec.support.gateway")
local http = require("spec.support.http")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local ETIMEDOUT = require("cqueues.errno").ETIMEDOUT

local M = {}

-- ---- processes

--- Starts bench/trials/FILE.lua as a process; returns when it says that it listens.
---@param file string
---@param ... string|integer  arguments
---@return spec.Gateway
function M.process(file, ...)
  local args = { "bench/trials/" .. file .. ".lua" }
  for i = 1, select("#", ...) do
    args[i + 1] = tostring((select(i, ...)))
  end
  return gateway.start("", { binary = M.luajit(), args = args, name = "unused", listeners = 1 })
end

--- Where LuaJIT is.
---@return string
function M.luajit()
  for folder in os.getenv("PATH"):gmatch("[^:]+") do
    local path = folder .. "/luajit"
    if require("posix.unistd").access(path, "x") then
      return path
    end
  end
  error("luajit is missing (run `make deps`)")
end

--- A process of load.lua on `port`; `finish()` ends it and returns its figures.
---@param port integer
---@param options { path: string, rate: integer, clients: integer }
---@return { finish: fun(): table }
function M.load(port, options)
  local stop = tmp.dir() .. "/stop"
  local process = M.process("load", port, options.path, options.rate, options.clients, stop)
  return {
    finish = function()
      assert(io.open(stop, "w")):close()
      process:wait_end(20)
      assert(process.status == 0, process:stderr())
      return cjson.decode(process:stdout())
    end,
  }
end

--- Runs a trial as a program: `fn` inside the controller, bounded.
---@param seconds number
---@param fn fun(): boolean?  false: the trial did not hold what is promised
function M.main(seconds, fn)
  io.stdout:setvbuf("line")
  run.limit = seconds
  local held
  local ok, err = pcall(run(function()
    held = fn()
  end))
  if not ok then
    io.stderr:write(tostring(type(err) == "table" and err.message or err), "\n")
  end
  os.exit(ok and held ~= false and 0 or 1, true)
end

--- Was this file called as a program?
---@param name string
---@return boolean
function M.is_main(name)
  return arg ~= nil and arg[0] ~= nil and arg[0]:match("([^/]*)%.lua$") == name
end

-- ---- a steady load

---@class trials.Steady
---@field sent integer
---@field failed integer
---@field reasons table<string, integer>
---@field latencies number[]  seconds, of what was answered
---@field worst number
---@field late number  how far behind its timetable a client was, at most: what the machine did to us
local Steady = {}
Steady.__index = Steady

local function read_answer(sock)
  local have = ""
  local head_end, body_start, length
  while true do
    local part, err = sock:read(-65536)
    if not part or part == "" then
      return nil, have == "" and "closed before the answer: " .. http.reason(err) or "cut: " .. http.reason(err)
    end
    have = have .. part
    if not body_start then
      head_end, body_start = have:find("\r\n\r\n", 1, true)
      length = body_start and tonumber(have:match("\r\n[Cc]ontent%-[Ll]ength: (%d+)")) or 0
    end
    if body_start and #have >= body_start + length then
      return have:sub(1, head_end), have:sub(body_start + 1)
    end
  end
end

function Steady:connect()
  local sock = socket.connect { host = "127.0.0.1", port = self.port, nodelay = true }
  http.prepare(sock, run.scaled(self.timeout))
  local ok, err = sock:connect(run.scaled(self.timeout))
  if not ok then
    sock:close()
    return nil, "connect: " .. http.reason(err)
  end
  self.connects = self.connects + 1
  return sock
end

--- Did the other end close this idle connection?
local function is_gone(sock, timeout)
  sock:settimeout(0)
  local part, err = sock:read(-1)
  sock:clearerr()
  sock:settimeout(timeout)
  return part ~= nil or err ~= ETIMEDOUT
end

--- One request: true; or nil and why. Second result of a success: the answer asked to close.
function Steady:once(sock, state)
  local ok, err = http.write(sock, self.request)
  if not ok then
    return nil, "send: " .. tostring(err)
  end
  local head, body = read_answer(sock)
  if not head then
    return nil, body
  end
  local wrong = self.check(head, body, state)
  if wrong then
    return nil, wrong
  end
  return true, head:find("\r\n[Cc]onnection: close") ~= nil
end

function Steady:note(began, ok, why)
  local now = cqueues.monotime()
  self.sent = self.sent + 1
  if ok then
    self.latencies[#self.latencies + 1] = now - began
    self.worst = math.max(self.worst, now - began)
  else
    self.failed = self.failed + 1
    self.reasons[why] = (self.reasons[why] or 0) + 1
    self.last_failure = now
    self.first_failure = self.first_failure or now
  end
  if self.on_each then
    self.on_each(began, now, ok, why)
  end
end

function Steady:client(due)
  local sock, state = nil, {}
  while not self.stopped do
    local now = cqueues.monotime()
    if due > now then
      cqueues.sleep(due - now)
    elseif now - due > 0.25 then
      due = now -- never catch up with a burst
    end
    if self.stopped then
      break
    end
    local began, why, ok, close = cqueues.monotime(), nil, false, false
    self.late = math.max(self.late, began - due)
    if sock and self.careful and is_gone(sock, run.scaled(self.timeout)) then
      sock:close()
      sock, self.reopened = nil, self.reopened + 1
    end
    if not sock then
      sock, why = self:connect()
      state = {}
    end
    if sock then
      ok, close = self:once(sock, state)
      why = not ok and close or why
    end
    self:note(began, ok, why)
    if sock and (not ok or close) then
      sock:close()
      sock = nil
    end
    due = due + self.interval
  end
  if sock then
    sock:close()
  end
  self.running = self.running - 1
end

--- Starts `clients` keepalive clients that send `rate` requests a second together, evenly spread. A `careful` client looks, as
--- browsers and libraries do, whether its idle connection was closed before it sends on it.
---@param port integer
---@param options { path: string, rate: number, clients: integer, timeout?: number, careful?: boolean,
---   check?: function, on_each?: function }
---@return trials.Steady
function M.steady(port, options)
  local self = setmetatable({
    port = port, timeout = options.timeout or 10, running = options.clients, sent = 0, failed = 0, connects = 0, reopened = 0,
    careful = options.careful,
    reasons = {}, latencies = {}, worst = 0, late = 0, on_each = options.on_each,
    interval = options.clients / options.rate,
    request = "GET " .. options.path .. " HTTP/1.1\r\nHost: trial\r\n\r\n",
    check = options.check or function(head)
      return not head:find("^HTTP/1.1 200 ") and head:match("^[^\r]*")
    end,
  }, Steady)
  local start = cqueues.monotime()
  for i = 1, options.clients do
    run.spawn(function()
      self:client(start + i * self.interval / options.clients)
    end)
  end
  return self
end

--- Ends it; every request that was sent has its answer, or its failure, first.
---@return trials.Steady
function Steady:finish()
  self.stopped = true
  self.seconds = nil
  wait.till(function()
    return self.running == 0
  end, "the end of the load", self.timeout + 2)
  return self
end

-- ---- figures

--- The value that `p` percent of the list do not exceed; sorts the list.
---@param list number[]
---@param p number
---@return number
function M.percentile(list, p)
  if #list == 0 then
    return 0 / 0
  end
  table.sort(list)
  return list[math.max(1, math.ceil(#list * p / 100))]
end

--- Milliseconds as text.
---@param seconds number
---@return string
function M.ms(seconds)
  return seconds == seconds and ("%.1f ms"):format(seconds * 1000) or "-"
end

--- "closed × 3, send × 1", most frequent first.
---@param reasons table<string, integer>
---@return string
function M.reasons(reasons)
  local names = {}
  for why in pairs(reasons) do
    names[#names + 1] = why
  end
  table.sort(names, function(a, b)
    return reasons[a] > reasons[b]
  end)
  for i, why in ipairs(names) do
    names[i] = ("%s x %d"):format(why, reasons[why])
  end
  return #names > 0 and table.concat(names, ", ") or "none"
end

--- Resident and proportional memory of a process, KiB.
---@param pid integer
---@return integer rss
---@return integer pss
function M.memory(pid)
  local text = tmp.read("/proc/" .. pid .. "/smaps_rollup") or ""
  return tonumber(text:match("\nRss:%s*(%d+)")) or 0, tonumber(text:match("\nPss:%s*(%d+)")) or 0
end

--- Number of open descriptors of a process.
---@param pid integer
---@return integer
function M.descriptors(pid)
  local n = 0
  for name in require("lfs").dir("/proc/" .. pid .. "/fd") do
    n = n + (name:sub(1, 1) == "." and 0 or 1)
  end
  return n
end

--- A table as text, columns aligned; the first row is its head.
---@param rows any[][]
---@return string
function M.table(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, #tostring(cell))
    end
  end
  local lines = {}
  for r, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      cells[i] = tostring(cell) .. (" "):rep(widths[i] - #tostring(cell))
    end
    lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
    if r == 1 then
      for i, width in ipairs(widths) do
        cells[i] = ("-"):rep(width)
      end
      lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |"
    end
  end
  return table.concat(lines, "\n")
end

-- ---- the body of downloads: a text that says where it is

local block = {}
for i = 0, 4095 do
  block[#block + 1] = ("%015d\n"):format(i)
end
block = table.concat(block)

--- `n` bytes of the pattern from byte `at` (0 is the first).
---@param at integer
---@param n integer
---@return string
function M.pattern(at, n)
  local parts = {}
  while n > 0 do
    local from = at % #block
    local piece = math.min(n, #block - from)
    parts[#parts + 1] = block:sub(from + 1, from + piece)
    at, n = at + piece, n - piece
  end
  return table.concat(parts)
end

return M

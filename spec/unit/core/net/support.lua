--- Sockets, loops and waits for the specs of net/ and tls/: a loop per spec, raw peers on real descriptors.
---
--- C calls back into Lua here (jobs, timers, hooks), which compiled code must not do: the JIT is off in this process.
local unit = require("spec.support.unit")
local ffi = unit.ffi
jit.off()

local M = { ffi = ffi, unit = unit }

unit.cdef([[
  struct spec_linger { int on, seconds; };
  struct spec_pollfd { int fd; short events, revents; };
  int socket(int, int, int);
  int socketpair(int, int, int, int *);
  int connect(int, const struct sockaddr *, socklen_t);
  int accept4(int, struct sockaddr *, socklen_t *, int);
  int setsockopt(int, int, int, const void *, socklen_t);
  int shutdown(int, int);
  int poll(struct spec_pollfd *, unsigned long, int);
  ssize_t send(int, const void *, size_t, int);
  ssize_t recv(int, void *, size_t, int);
  int close(int);
  int dup(int);
  int unlink(const char *);
  int open(const char *, int, ...);
]])

M.C = unit.use("net/stream.h", "net/connect.h", "net/listen.h", "net/idle.h", "net/idle_conn.h", "net/signal.h", "net/timer.h",
  "base/clock.h", "base/err.h", "base/log.h")
local C, libc = M.C, ffi.C

--- STREAM_*, PAUSE_*, MEM_* and ERR_* by name: `E.ERR_AGAIN`.
M.E = setmetatable({}, {
  __index = function(t, name)
    local value = tonumber(ffi.new("int", C[name]))
    rawset(t, name, value)
    return value
  end,
})

local anchors = {}
local function keep(value)
  anchors[#anchors + 1] = value
  return value
end

--- A Lua function as a C callback of the given type; kept for the life of the process.
function M.callback(ctype, fn)
  return keep(ffi.cast(ctype, fn))
end

local loop
--- The process's loop.
function M.loop()
  loop = loop or C.loop_new()
  return loop
end

--- Turns the loop until fn() is true; an error after two seconds.
function M.wait(what, fn)
  local ends = C.clock_now_ns() + 2000000000LL
  while not fn() do
    assert(C.clock_now_ns() < ends, "waited too long for " .. what)
    C.loop_turn(M.loop(), 20)
  end
end

--- A few turns without waiting: what is ready is handled.
function M.settle()
  for _ = 1, 3 do
    C.loop_turn(M.loop(), 0)
  end
end

--- A job that counts its runs.
---@return ffi.cdata* job, table counter  counter.n
function M.job(fn)
  local counter = { n = 0 }
  local j = keep(ffi.new("job"))
  C.job_init(j, M.callback("void (*)(job *)", function()
    counter.n = counter.n + 1
    if fn then
      fn(counter)
    end
  end))
  return j, counter
end

function M.addr(text)
  local a = keep(ffi.new("addr"))
  assert(C.addr_parse(unit.str(keep(text)), 0, a) == 0, text)
  return a
end

--- A listening socket on a free port of 127.0.0.1.
---@return integer fd, ffi.cdata* addr
function M.listen(backlog, text)
  local args = keep(ffi.new("struct listen_args"))
  args.at = M.addr(text or "127.0.0.1:0")
  args.backlog = backlog or 16
  local fd = C.listen_open(args)
  assert(fd >= 0, ffi.string(C.err_name(fd)))
  return fd, args.at
end

local Peer = {}
Peer.__index = Peer

--- The other end of a stream: a descriptor used with blocking calls and a bound.
function M.peer(fd)
  return setmetatable({ fd = fd }, Peer)
end

function Peer:ready(events, ms)
  local p = ffi.new("struct spec_pollfd[1]", { { fd = self.fd, events = events } })
  return libc.poll(p, 1, ms or 1000) > 0
end

function Peer:send(text)
  assert(tonumber(libc.send(self.fd, text, #text, 0x4000)) == #text)
end

--- What is there, at most n bytes; "" at the end, nil when nothing comes.
function Peer:recv(n, ms)
  if not self:ready(1, ms) then
    return nil
  end
  local buf = ffi.new("char[?]", n or 65536)
  local r = tonumber(libc.recv(self.fd, buf, n or 65536, 0))
  return r >= 0 and ffi.string(buf, r) or nil
end

function Peer:recv_all(n)
  local parts, have = {}, 0
  while have < n do
    local part = self:recv(n - have)
    if not part or part == "" then
      break
    end
    parts[#parts + 1] = part
    have = have + #part
  end
  return table.concat(parts)
end

function Peer:shut()
  libc.shutdown(self.fd, 1)
end

function Peer:close()
  if self.fd >= 0 then
    libc.close(self.fd)
    self.fd = -1
  end
end

--- Closes with a reset.
function Peer:reset()
  local linger = ffi.new("struct spec_linger", 1, 0)
  libc.setsockopt(self.fd, 1, 13, linger, ffi.sizeof(linger))
  self:close()
end

local function set_int(fd, level, name, value)
  libc.setsockopt(fd, level, name, ffi.new("int[1]", value), 4)
end

--- Two ends of a TCP connection: a non-blocking descriptor and a Peer.
---@param sndbuf? integer  send buffer of the descriptor
function M.pair(sndbuf)
  local lfd, at = M.listen(4)
  local fd = libc.socket(2, 1, 0)
  if sndbuf then
    set_int(fd, 1, 8, sndbuf) -- SO_RCVBUF, before the window is agreed on
  end
  assert(libc.connect(fd, ffi.cast("struct sockaddr *", at.sa), 16) == 0)
  local p = M.peer(lfd)
  assert(p:ready(1))
  local other = libc.accept4(lfd, nil, nil, 0x800)
  assert(other >= 0)
  libc.close(lfd)
  if sndbuf then
    set_int(other, 1, 7, sndbuf)
  end
  return other, M.peer(fd)
end

--- An open plain stream, its peer and its job's counter.
function M.stream(sndbuf)
  local fd, peer = M.pair(sndbuf)
  local s = keep(ffi.new("stream"))
  local j, counter = M.job()
  assert(C.stream_open(s, M.loop(), fd, j, 0) == 0)
  return s, peer, counter
end

--- An empty queue; bufq_init is inline and has no symbol.
function M.queue()
  local q = keep(ffi.new("bufq"))
  q.cap = C.BUFQ_FEW
  return q
end

--- The unread bytes of a stream.
function M.input(s)
  if s.in_mem == nil then
    return ""
  end
  return ffi.string(s.in_mem.data + s.in_at, s.in_end - s.in_at)
end

function M.consume_all(s)
  C.stream_consume(s, s.in_end - s.in_at)
end

function M.has(value, bit_)
  return bit.band(value, bit_) ~= 0
end

function M.fill(s, max)
  return tonumber(C.stream_fill(s, max or 1048576))
end

return M

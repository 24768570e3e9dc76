--- What the specs of shm/ share: segments, and child processes that are killed at a chosen moment.
local unit = require("spec.support.unit")
local ffi = unit.ffi

local M = {}

unit.cdef([[
  int fork(void);
  int kill(int pid, int sig);
  int waitpid(int pid, int *status, int options);
  int dup(int fd);
  void _exit(int status);
  int sched_yield(void);
]])

local names = 0

--- A fresh segment of its own name.
---@param C table  the test library
---@param size integer
---@return ffi.cdata*
function M.segment(C, size)
  names = names + 1
  local out = ffi.new("seg *[1]")
  assert(C.seg_open(unit.str("spec:" .. names), size, out) == 1)
  return out[0]
end

--- Opens a structure in a fresh segment: M.open(C, 65536, "dict", C.dict_open).
function M.open(C, size, kind, open, ...)
  local args = { ... }
  args[#args + 1] = ffi.new(kind .. " *[1]")
  local seg = M.segment(C, size)
  assert(open(seg, unpack(args)) == 0)
  return args[#args][0], seg
end

--- Runs fn in a forked child, which never returns into the spec.
---@param fn fun()
---@return integer pid
function M.child(fn)
  local pid = ffi.C.fork()
  if pid == 0 then
    local ok, err = pcall(fn)
    if not ok then
      io.stderr:write("child: ", tostring(err), "\n")
    end
    ffi.C._exit(ok and 0 or 1)
  end
  assert(pid > 0)
  return pid
end

--- Waits for a child; true when it ended by itself with status 0.
function M.join(pid)
  local status = ffi.new("int[1]")
  assert(ffi.C.waitpid(pid, status, 0) == pid)
  return status[0] == 0
end

function M.kill(pid)
  ffi.C.kill(pid, 9)
  M.join(pid)
end

--- Waits (bounded) until *cell >= value.
function M.await(cell, value)
  for _ = 1, 20000000 do
    if cell[0] >= value then
      return
    end
    ffi.C.sched_yield()
  end
  error("the child made no progress", 2)
end

--- A counter that children and parent share.
function M.counter(C)
  return ffi.cast("volatile uint64_t *", C.seg_data(M.segment(C, 4096)))
end

return M

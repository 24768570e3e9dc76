local unit = require("spec.support.unit")
local ffi = unit.ffi
local C = unit.use("proc/channel.h", "net/loop.h")
unit.cdef([[
  int pipe(int *fds); int close(int fd); long write(int fd, const void *p, size_t n); long read(int fd, void *p, size_t n);
]])

local callbacks = {} -- kept: C holds only their addresses

--- A loop and both ends of a channel; what arrives is collected in `a.got` and `b.got`.
local function pair()
  local fds = ffi.new("int[2]")
  assert.equal(0, C.channel_pair(fds))
  local loop = C.loop_new()
  local function open(fd)
    local side = { got = {}, ended = 0 }
    local on_msg = ffi.cast("void (*)(void *, const channel_msg *)", function(_, m)
      side.got[#side.got + 1] = { type = tonumber(m.type), fd = m.fd, generation = tonumber(m.generation),
        arg = tonumber(m.arg), text = unit.text(m.text) }
      if side.on_msg then
        side.on_msg()
      end
    end)
    local on_end = ffi.cast("void (*)(void *)", function()
      side.ended = side.ended + 1
    end)
    callbacks[#callbacks + 1], callbacks[#callbacks + 2] = on_msg, on_end
    side.c = C.channel_open(loop, fd, ffi.new("channel_user", { on_msg, on_end, nil }))
    assert.is_true(side.c ~= nil)
    return side
  end
  return loop, open(fds[0]), open(fds[1])
end

jit.off(true, true) -- callbacks come out of C functions called from here

local function send(side, type, text, fd)
  return C.channel_send(side.c, ffi.new("channel_msg", { type, fd or -1, 7, -9, unit.str(text or "") }))
end

describe("a channel", function()
  it("carries messages whole, in order, both ways", function()
    local loop, a, b = pair()
    local long = ("x"):rep(16000)
    assert.equal(0, send(a, C.CHANNEL_PREPARE, "first"))
    assert.equal(0, send(a, C.CHANNEL_COMMIT, long))
    assert.equal(0, send(b, C.CHANNEL_READY))
    C.loop_turn(loop, 100)
    C.loop_turn(loop, 0)
    assert.same({ type = tonumber(C.CHANNEL_PREPARE), fd = -1, generation = 7, arg = -9, text = "first" }, b.got[1])
    assert.equal(long, b.got[2].text)
    assert.equal("", a.got[1].text)
    C.channel_close(a.c)
    C.channel_close(b.c)
    C.loop_free(loop)
  end)

  it("passes a descriptor", function()
    local loop, a, b = pair()
    local pipe, buf = ffi.new("int[2]"), ffi.new("char[8]")
    ffi.C.pipe(pipe)
    assert.equal(0, send(a, C.CHANNEL_LISTENER, "key", pipe[1]))
    ffi.C.close(pipe[1])
    C.loop_turn(loop, 100)
    assert.equal(2, tonumber(ffi.C.write(b.got[1].fd, "hi", 2)))
    assert.equal(2, tonumber(ffi.C.read(pipe[0], buf, 8)))
    ffi.C.close(b.got[1].fd)
    ffi.C.close(pipe[0])
    C.channel_close(a.c)
    C.channel_close(b.c)
    C.loop_free(loop)
  end)

  it("says once that the other side is gone, after its last words", function()
    local loop, a, b = pair()
    assert.equal(0, send(a, C.CHANNEL_QUIT, "bye"))
    C.channel_close(a.c)
    C.loop_turn(loop, 100)
    C.loop_turn(loop, 0)
    assert.equal("bye", b.got[1].text)
    assert.equal(1, b.ended)
    assert.is_true(send(b, C.CHANNEL_READY) < 0)
    C.channel_close(b.c)
    C.loop_free(loop)
  end)

  it("may be closed by who gets a message", function()
    local loop, a, b = pair()
    b.on_msg = function()
      C.channel_close(b.c)
    end
    assert.equal(0, send(a, C.CHANNEL_QUIT))
    assert.equal(0, send(a, C.CHANNEL_QUIT))
    C.loop_turn(loop, 100)
    assert.equal(1, #b.got)
    C.loop_turn(loop, 100)
    assert.equal(1, a.ended)
    C.channel_close(a.c)
    C.loop_free(loop)
  end)

  it("tells the sender when the other side does not read", function()
    local loop, a, b = pair()
    local rc, sent = 0, 0
    while rc == 0 and sent < 10000 do
      rc = send(a, C.CHANNEL_SETTLE, ("x"):rep(1000))
      sent = sent + 1
    end
    assert.equal(-1, rc) -- ERR_AGAIN
    assert.is_true(sent > 50)
    C.channel_close(a.c)
    C.channel_close(b.c)
    C.loop_free(loop)
  end)
end)

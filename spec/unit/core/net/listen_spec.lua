local net = require("spec.unit.core.net.support")
local ffi, C, unit = net.ffi, net.C, net.unit
local loop = net.loop()

unit.cdef("struct spec_rlimit { unsigned long cur, max; }; int getrlimit(int, struct spec_rlimit *);"
  .. " int setrlimit(int, const struct spec_rlimit *);")

local function start(fd, fn)
  local ln = ffi.new("listener")
  local cb = net.callback("void (*)(listener *, int, const addr *)", fn)
  assert(C.listener_start(ln, loop, fd, cb, nil) == 0)
  return ln
end

local function dial(at)
  local s = ffi.new("stream")
  assert(C.connect_start(s, loop, at, nil, nil) == 0)
  return s
end

describe("net/listen", function()
  it("tells the port it got", function()
    local fd, at = net.listen()
    assert.is_true(C.addr_port(at) > 0)
    ffi.C.close(fd)
  end)

  it("hands over accepted descriptors with the peer's address", function()
    local fd, at = net.listen()
    local peers = {}
    local ln = start(fd, function(_, accepted, peer)
      local text = ffi.new("char[64]")
      peers[#peers + 1] = ffi.string(text, C.addr_print_ip(peer, text, 64))
      ffi.C.close(accepted)
    end)
    local a, b = dial(at), dial(at)
    net.wait("both", function() return #peers == 2 end)
    assert.same({ "127.0.0.1", "127.0.0.1" }, peers)
    C.stream_close(a)
    C.stream_close(b)
    C.listener_stop(ln, true)
    C.listener_stop(ln, true)
  end)

  it("gives accepted connections TCP_NODELAY", function()
    unit.cdef("int getsockopt(int, int, int, void *, socklen_t *);")
    local fd, at = net.listen()
    local nodelay
    local ln = start(fd, function(_, accepted)
      local value, len = ffi.new("int[1]"), ffi.new("socklen_t[1]", 4)
      ffi.C.getsockopt(accepted, 6, 1, value, len)
      nodelay = value[0]
      ffi.C.close(accepted)
    end)
    local s = dial(at)
    net.wait("a connection", function() return nodelay end)
    assert.equal(1, nodelay)
    C.stream_close(s)
    C.listener_stop(ln, true)
  end)

  it("takes more than one batch", function()
    local fd, at = net.listen(256)
    local n, dialled = 0, {}
    local ln = start(fd, function(_, accepted)
      n = n + 1
      ffi.C.close(accepted)
    end)
    for i = 1, 150 do
      dialled[i] = dial(at)
    end
    net.wait("all", function() return n == 150 end)
    for _, s in ipairs(dialled) do
      C.stream_close(s)
    end
    C.listener_stop(ln, true)
  end)

  it("accepts no more once stopped, and leaves the descriptor to its owner", function()
    local fd, at = net.listen()
    local n = 0
    local ln = start(fd, function() n = n + 1 end)
    C.listener_stop(ln, false)
    local s = dial(at)
    net.settle()
    assert.equal(0, n)
    assert.is_true(net.peer(fd):ready(1))
    C.stream_close(s)
    ffi.C.close(fd)
  end)

  it("refuses an address in use", function()
    local fd, at = net.listen()
    local args = ffi.new("struct listen_args", { at = at })
    assert.is_true(C.listen_open(args) < 0)
    ffi.C.close(fd)
  end)

  it("shares a port between listeners that ask for it", function()
    local args = ffi.new("struct listen_args", { at = net.addr("127.0.0.1:0"), reuseport = true })
    local a = C.listen_open(args)
    local b = C.listen_open(args)
    assert.is_true(a >= 0 and b >= 0)
    ffi.C.close(a)
    ffi.C.close(b)
  end)

  it("replaces a unix socket nobody answers on, but not a live one or a file", function()
    local path = os.tmpname()
    local args = ffi.new("struct listen_args", { at = net.addr("unix:" .. path) })
    assert.is_true(C.listen_open(args) < 0) -- os.tmpname made a plain file
    os.remove(path)
    local first = C.listen_open(args)
    assert.is_true(first >= 0)
    assert.is_true(C.listen_open(args) < 0)
    ffi.C.close(first)
    local second = C.listen_open(args)
    assert.is_true(second >= 0)
    ffi.C.close(second)
    os.remove(path)
  end)

  it("pauses when descriptors run out and goes on later, with one line in the log", function()
    local fd, at = net.listen()
    local lines, accepted_fd = 0, nil
    C.log_capture(net.callback("void (*)(int, const char *)", function() lines = lines + 1 end))
    local ln = start(fd, function(_, accepted) accepted_fd = accepted end)
    local s = dial(at)
    local old, low = ffi.new("struct spec_rlimit"), ffi.new("struct spec_rlimit")
    ffi.C.getrlimit(7, old)
    low.cur, low.max = 3, old.max
    ffi.C.setrlimit(7, low)
    C.loop_turn(loop, 20)
    C.loop_turn(loop, 0)
    ffi.C.setrlimit(7, old)
    assert.is_true(ln.paused)
    assert.equal(1, lines)
    net.wait("the accept", function() return accepted_fd end)
    assert.is_false(ln.paused)
    C.log_capture(nil)
    C.stream_close(s)
    ffi.C.close(accepted_fd)
    C.listener_stop(ln, true)
  end)
end)

local net = require("spec.unit.core.net.support")
local ffi, C, E = net.ffi, net.C, net.E
local loop = net.loop()

--- A listener that answers no more: its backlog is full, so another SYN waits for ever.
local function deaf()
  local fd, at = net.listen(1)
  local fillers = {}
  for i = 1, 3 do
    local s = ffi.new("stream")
    assert(C.connect_start(s, loop, at, nil, nil) == 0)
    fillers[i] = s
  end
  net.settle()
  return at, function()
    for _, s in ipairs(fillers) do
      C.stream_close(s)
    end
    ffi.C.close(fd)
  end
end

local function refused()
  local fd, at = net.listen(1)
  ffi.C.close(fd)
  return at
end

local function race(addrs, timeout_ms, user)
  local v = ffi.new("addr[?]", #addrs)
  for i, a in ipairs(addrs) do
    v[i - 1] = a
  end
  local args = ffi.new("struct connect_args", { addrs = v, naddrs = #addrs, timeout_ms = timeout_ms, user = user })
  return C.connect_race(loop, args)
end

local function result_of(op)
  local out = ffi.new("stream")
  local r
  net.wait("the race", function()
    r = C.connect_result(op, out)
    return r ~= E.ERR_AGAIN
  end)
  return r, out
end

describe("net/connect to one address", function()
  it("becomes writable when connected", function()
    local fd, at = net.listen()
    local s = ffi.new("stream")
    local j, count = net.job()
    assert.equal(0, C.connect_start(s, loop, at, nil, j))
    net.wait("the wake", function() return count.n > 0 end)
    assert.equal(0, C.connect_finish(s))
    assert.equal(0, C.connect_finish(s))
    assert.equal(0, C.stream_send(s, net.unit.str("x")))
    C.stream_close(s)
    ffi.C.close(fd)
  end)

  it("keeps what is sent before it is connected", function()
    local fd, at = net.listen()
    local s = ffi.new("stream")
    local j, count = net.job()
    assert.equal(0, C.connect_start(s, loop, at, nil, j))
    assert.equal(0, C.stream_send(s, net.unit.str("early")))
    net.wait("the wake", function() return count.n > 0 end)
    assert.equal(0, C.connect_finish(s))
    assert.equal(0, C.stream_flush(s))
    local peer = net.peer(ffi.C.accept4(fd, nil, nil, 0))
    assert.equal("early", peer:recv())
    C.stream_close(s)
    ffi.C.close(fd)
  end)

  it("reports a refusal", function()
    local s = ffi.new("stream")
    local j, count = net.job()
    local r = C.connect_start(s, loop, refused(), nil, j)
    if r == 0 then
      net.wait("the wake", function() return count.n > 0 end)
      r = C.connect_finish(s)
    end
    assert.equal(E.ERR_REFUSED, r)
    C.stream_close(s)
  end)

  it("says that it is still going on", function()
    local at, done = deaf()
    local s = ffi.new("stream")
    assert.equal(0, C.connect_start(s, loop, at, nil, nil))
    net.settle()
    assert.equal(E.ERR_AGAIN, C.connect_finish(s))
    assert.equal(E.ERR_AGAIN, net.fill(s))
    C.stream_close(s)
    done()
  end)

  it("binds to a local address", function()
    local fd, at = net.listen()
    local s = ffi.new("stream")
    local j, count = net.job()
    assert.equal(0, C.connect_start(s, loop, at, net.addr("127.0.0.5"), j))
    net.wait("the wake", function() return count.n > 0 end)
    local from = ffi.new("struct sockaddr[2]")
    local len = ffi.new("socklen_t[1]", 32)
    assert.is_true(ffi.C.accept4(fd, from, len, 0) >= 0)
    local a, text = ffi.new("addr"), ffi.new("char[64]")
    C.addr_from_sockaddr(a, from, len[0])
    assert.equal("127.0.0.5", ffi.string(text, C.addr_print_ip(a, text, 64)))
    C.stream_close(s)
    ffi.C.close(fd)
  end)

  it("reaches unix sockets", function()
    local path = os.tmpname()
    os.remove(path)
    local fd = net.listen(4, "unix:" .. path)
    local s = ffi.new("stream")
    assert.equal(0, C.connect_start(s, loop, net.addr("unix:" .. path), nil, nil))
    assert.equal(0, C.connect_finish(s))
    C.stream_close(s)
    ffi.C.close(fd)
    os.remove(path)
    assert.is_true(C.connect_start(s, loop, net.addr("unix:" .. path), nil, nil) < 0)
  end)
end)

describe("net/connect race", function()
  it("goes on to the next address when one refuses", function()
    local fd, at = net.listen()
    local r, s = result_of(race({ refused(), refused(), at }, 1000))
    assert.equal(0, r)
    assert.is_true(s.user == nil)
    assert.equal(0, C.stream_send(s, net.unit.str("x")))
    C.stream_close(s)
    ffi.C.close(fd)
  end)

  it("starts the next while the first hangs and takes the one that answers", function()
    local hanging, done = deaf()
    local fd, at = net.listen()
    local start = C.clock_now_ns()
    local j, count = net.job()
    local op = race({ hanging, at }, 2000, j)
    net.wait("the wake", function() return count.n > 0 end)
    local r, s = result_of(op)
    local took = tonumber(C.clock_now_ns() - start) / 1e6
    assert.equal(0, r)
    assert.is_true(took >= 200 and took < 1500, took)
    C.stream_close(s)
    ffi.C.close(fd)
    done()
  end)

  it("ends with the last error when all fail", function()
    local r = result_of(race({ refused(), refused() }, 1000))
    assert.equal(E.ERR_REFUSED, r)
  end)

  it("ends at its deadline", function()
    local hanging, done = deaf()
    local j, count = net.job()
    local op = race({ hanging }, 60, j)
    net.wait("the deadline", function() return count.n > 0 end)
    assert.equal(E.ERR_TIMEOUT, (result_of(op)))
    done()
  end)

  it("is over at once without addresses", function()
    local j, count = net.job()
    local op = race({}, 1000, j)
    net.wait("the wake", function() return count.n > 0 end)
    assert.equal(E.ERR_UNREACHABLE, (result_of(op)))
  end)

  it("can be cancelled at any time", function()
    local fd, at = net.listen()
    local j, count = net.job()
    C.connect_cancel(race({ at }, 1000, j))
    local op = race({ at, at }, 1000, j)
    net.wait("the wake", function() return count.n > 0 end)
    C.connect_cancel(op)
    net.settle()
    assert.equal(1, count.n)
    ffi.C.close(fd)
  end)
end)

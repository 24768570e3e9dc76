local net = require("spec.unit.core.net.support")
local ffi, C, E, unit = net.ffi, net.C, net.E, net.unit
local loop = net.loop()

local function flags(s, name)
  return net.has(s.flags, E[name])
end

--- Reads to the first result that is not progress.
local function drain(s)
  local r
  repeat
    r = net.fill(s)
  until r <= 0
  return r
end

describe("net/stream reading", function()
  it("keeps the struct small and an idle stream without a buffer", function()
    assert.is_true(ffi.sizeof("stream") <= 320)
    local s = net.stream()
    assert.equal(E.ERR_AGAIN, net.fill(s))
    assert.is_true(s.in_mem == nil)
    C.stream_close(s)
  end)

  it("appends what came and knows a short read drained the socket", function()
    local s, peer, job = net.stream()
    peer:send("hello")
    net.wait("data", function() return job.n > 0 end)
    assert.equal(5, net.fill(s))
    assert.is_false(flags(s, "STREAM_READABLE"))
    assert.equal(E.ERR_AGAIN, net.fill(s))
    peer:send(" world")
    local before = job.n
    net.wait("more", function() return job.n > before end)
    assert.equal(6, net.fill(s))
    assert.equal("hello world", net.input(s))
    assert.equal(11, tonumber(s.bytes_in))
    C.stream_close(s)
  end)

  it("finds bytes that were there before the stream was opened", function()
    local fd, peer = net.pair()
    peer:send("early")
    local s = ffi.new("stream")
    assert.equal(0, C.stream_open(s, loop, fd, nil, 0))
    assert.equal(5, net.fill(s))
    C.stream_close(s)
  end)

  it("does not lose an end that shared its edge with data", function()
    for _, size in ipairs({ 1, 100, 16000, 70000 }) do
      local s, peer, job = net.stream()
      assert.equal(E.ERR_AGAIN, net.fill(s)) -- known drained: only edges help now
      net.settle()
      peer:send(("x"):rep(size))
      peer:close() -- data and FIN are both there before the loop looks
      local before, last = job.n, nil
      net.wait("the end", function()
        if job.n > before then
          before = job.n
          last = drain(s)
        end
        return last == E.ERR_EOF
      end)
      assert.equal(size, tonumber(s.bytes_in))
      assert.is_true(flags(s, "STREAM_EOF"))
      assert.equal(size, #net.input(s))
      C.stream_close(s)
    end
  end)

  it("reports an end that comes later, once, and stays there", function()
    local s, peer, job = net.stream()
    peer:send("abc")
    net.wait("data", function() return job.n > 0 end)
    assert.equal(3, net.fill(s))
    assert.equal(E.ERR_AGAIN, net.fill(s))
    peer:shut()
    local before = job.n
    net.wait("end", function() return job.n > before end)
    assert.equal(E.ERR_EOF, net.fill(s))
    assert.equal(E.ERR_EOF, net.fill(s))
    assert.equal("abc", net.input(s))
    C.stream_close(s)
  end)

  it("reports a reset", function()
    local s, peer, job = net.stream()
    assert.equal(E.ERR_AGAIN, net.fill(s))
    peer:reset()
    net.wait("reset", function() return job.n > 0 end)
    assert.equal(E.ERR_RESET, net.fill(s))
    assert.is_true(flags(s, "STREAM_DEAD"))
    assert.equal(E.ERR_RESET, net.fill(s))
    C.stream_close(s)
  end)

  it("finds a reset behind data in the same edge when asked to probe", function()
    local s, peer, job = net.stream()
    assert.equal(E.ERR_AGAIN, net.fill(s))
    net.settle()
    s.flags = bit.bor(s.flags, E.STREAM_PROBE)
    peer:send("abc")
    peer:reset()
    net.wait("data", function() return job.n > 0 end)
    local r = drain(s)
    assert.is_true(r == E.ERR_RESET or r == E.ERR_EOF)
    C.stream_close(s)
  end)

  it("wakes the owner for a reset after the end was read", function()
    local s, peer, job = net.stream()
    assert.equal(E.ERR_AGAIN, net.fill(s))
    peer:shut()
    net.wait("end", function() return job.n > 0 end)
    assert.equal(E.ERR_EOF, net.fill(s))
    local before = job.n
    peer:reset()
    net.wait("reset", function() return job.n > before end)
    assert.is_true(flags(s, "STREAM_DEAD"))
    C.stream_close(s)
  end)

  it("does not read past the limit of buffered bytes", function()
    local s, peer, job = net.stream()
    peer:send(("x"):rep(100))
    net.wait("data", function() return job.n > 0 end)
    assert.equal(100, net.fill(s, 50))
    peer:send("y")
    local before = job.n
    net.wait("more", function() return job.n > before end)
    assert.equal(E.ERR_LIMIT, net.fill(s, 50))
    C.stream_consume(s, 60)
    assert.equal(1, net.fill(s, 50))
    C.stream_close(s)
  end)

  it("keeps bytes in place while somebody pins the chunk", function()
    local s, peer, job = net.stream()
    peer:send("first")
    net.wait("data", function() return job.n > 0 end)
    net.fill(s)
    local pinned, at = s.in_mem, s.in_mem.data + s.in_at
    pinned.refs = pinned.refs + 1
    net.consume_all(s)
    for i = 1, 12 do
      local before = job.n
      peer:send(("%04d"):format(i) .. ("z"):rep(1900))
      net.wait("more", function() return job.n > before end)
      assert.equal(1904, net.fill(s))
      assert.equal(("%04d"):format(i), net.input(s):sub(1, 4))
      net.consume_all(s)
    end
    assert.equal("first", ffi.string(at, 5))
    assert.is_true(s.in_mem ~= pinned)
    unit.cdef("void mem_free(mem *);")
    assert.equal(1, pinned.refs)
    pinned.refs = 0
    C.mem_free(pinned)
    C.stream_close(s)
  end)

  it("moves unconsumed bytes along when the chunk is full", function()
    local s, peer, job = net.stream()
    local text = {}
    for i = 1, 9000 do
      text[i] = ("%05d "):format(i)
    end
    text = table.concat(text)
    local sent = 0
    while sent < #text do
      local before = job.n
      peer:send(text:sub(sent + 1, sent + 5000))
      sent = math.min(sent + 5000, #text)
      net.wait("data", function() return job.n > before end)
      drain(s)
    end
    assert.equal(text, net.input(s))
    C.stream_close(s)
  end)

  it("grows its chunks for a large body and forgets that when it goes idle", function()
    local s, peer, job = net.stream()
    local first = s.in_klass
    local want, got, seen = 1500000, 0, 0
    local body = ("b"):rep(want)
    local at = 1
    net.wait("the body", function()
      if at <= want and peer:ready(4, 0) then
        local n = tonumber(ffi.C.send(peer.fd, ffi.cast("const char *", body) + at - 1, want - at + 1, 0x4040))
        at = at + math.max(n, 0)
      end
      if job.n > seen then
        seen = job.n
        local r
        repeat
          r = net.fill(s)
          got = got + math.max(r, 0)
          net.consume_all(s)
        until r <= 0
      end
      return got == want
    end)
    assert.is_true(s.in_klass > first)
    C.stream_release_in(s)
    assert.is_true(s.in_mem == nil)
    assert.equal(first, s.in_klass)
    C.stream_close(s)
  end)

  it("hands bytes to a queue without copying", function()
    local s, peer, job = net.stream()
    peer:send("one two")
    net.wait("data", function() return job.n > 0 end)
    net.fill(s)
    local q = net.queue()
    local at = s.in_mem.data + s.in_at
    C.stream_take(s, q, 3)
    assert.equal(3, tonumber(q.bytes))
    assert.is_true(q.few[q.head].p == at)
    assert.equal(" two", net.input(s))
    C.stream_take(s, q, 100)
    assert.equal(7, tonumber(q.bytes))
    assert.equal(1, q.n)
    C.bufq_reset(q)
    C.stream_close(s)
  end)
end)

describe("net/stream pausing", function()
  it("reads nothing while any reason holds and wakes the owner when the last goes", function()
    local s, peer, job = net.stream()
    C.stream_pause(s, E.PAUSE_SINK)
    C.stream_pause(s, E.PAUSE_RATE)
    peer:send("data")
    net.wait("the edge", function() return flags(s, "STREAM_READABLE") and peer.fd end)
    net.settle()
    assert.equal(0, job.n)
    assert.equal(E.ERR_AGAIN, net.fill(s))
    C.stream_resume(s, E.PAUSE_SINK)
    net.settle()
    assert.equal(0, job.n)
    C.stream_resume(s, E.PAUSE_RATE)
    net.settle()
    assert.equal(1, job.n)
    assert.equal(4, net.fill(s))
    C.stream_close(s)
  end)

  it("still tells a paused owner that the peer hung up", function()
    local s, peer, job = net.stream()
    C.stream_pause(s, E.PAUSE_SINK)
    net.settle()
    peer:close()
    net.wait("hang-up", function() return job.n > 0 end)
    assert.is_true(flags(s, "STREAM_HUP_HINT"))
    C.stream_close(s)
  end)
end)

describe("net/stream writing", function()
  it("sends at once what fits and has nothing queued then", function()
    local s, peer = net.stream()
    assert.equal(0, C.stream_send(s, unit.str("hello")))
    assert.equal(0, tonumber(s.out.bytes))
    assert.equal("hello", peer:recv())
    assert.equal(5, tonumber(s.bytes_out))
    C.stream_close(s)
  end)

  it("is not woken by an edge that only says writable", function()
    local s, _, job = net.stream()
    net.settle()
    assert.equal(0, job.n)
    C.stream_close(s)
  end)

  it("queues what the socket does not take, wakes the owner and goes on", function()
    local s, peer, job = net.stream(8192)
    local text = {}
    for i = 1, 50000 do
      text[i] = ("%07d"):format(i)
    end
    text = table.concat(text)
    assert.equal(0, C.stream_send(s, unit.str(text)))
    assert.is_true(s.out.bytes > 0)
    assert.is_false(flags(s, "STREAM_WRITABLE"))
    assert.equal(E.ERR_AGAIN, C.stream_flush(s))
    local got, seen, r = {}, job.n, nil
    local total = 0
    net.wait("everything", function()
      local part = peer:recv(65536, 0)
      if part then
        got[#got + 1] = part
        total = total + #part
      end
      if job.n > seen then
        seen = job.n
        r = C.stream_flush(s)
      end
      return total == #text
    end)
    assert.equal(0, r)
    assert.is_true(table.concat(got) == text)
    assert.is_true(seen > 0)
    C.stream_close(s)
  end)

  it("sends memory and file slices in their order", function()
    local name = os.tmpname()
    local f = assert(io.open(name, "w"))
    f:write(("0123456789"):rep(1000))
    f:close()
    local ref = C.fileref_new(ffi.C.open(name, 0))
    os.remove(name)
    local s, peer = net.stream()
    local q = net.queue()
    C.bufq_push_static(q, unit.str("head "))
    C.bufq_push_file(q, ref, 5, 10)
    C.bufq_push_static(q, unit.str(" mid "))
    C.bufq_push_file(q, ref, 0, 10000)
    C.bufq_push_static(q, unit.str(" end"))
    C.fileref_unref(ref)
    C.stream_push(s, q)
    assert.equal(0, tonumber(q.bytes))
    assert.equal(0, C.stream_flush(s))
    local want = "head 5678901234 mid " .. ("0123456789"):rep(1000) .. " end"
    assert.equal(want, peer:recv_all(#want))
    C.bufq_reset(q)
    C.stream_close(s)
  end)

  it("lets others have a turn during a long flush, and is woken to go on", function()
    local name = os.tmpname()
    local f = assert(io.open(name, "w"))
    f:write(("x"):rep(3 * 1048576))
    f:close()
    local ref = C.fileref_new(ffi.C.open(name, 0))
    os.remove(name)
    local s, peer, job = net.stream()
    local q = net.queue()
    C.bufq_push_file(q, ref, 0, 3 * 1048576)
    C.fileref_unref(ref)
    C.stream_push(s, q)
    assert.equal(E.ERR_AGAIN, C.stream_flush(s))
    assert.is_true(tonumber(s.bytes_out) <= 1048576)
    local got, seen, r = 0, 0, nil
    net.wait("the file", function()
      local part = peer:recv(1048576, 0)
      got = got + #(part or "")
      if job.n > seen then
        seen = job.n
        r = C.stream_flush(s)
      end
      return got == 3 * 1048576
    end)
    assert.equal(0, r)
    C.bufq_reset(q)
    C.stream_close(s)
  end)

  it("fails when a file is shorter than promised", function()
    local ref = C.fileref_new(ffi.C.open("/dev/null", 0))
    local s = net.stream()
    local q = net.queue()
    C.bufq_push_file(q, ref, 0, 10)
    C.fileref_unref(ref)
    C.stream_push(s, q)
    assert.is_true(C.stream_flush(s) < 0)
    assert.is_true(flags(s, "STREAM_DEAD"))
    C.bufq_reset(q)
    C.stream_close(s)
  end)

  it("writes more slices than one call takes", function()
    local s, peer = net.stream()
    local q = net.queue()
    local want, anchors = {}, {}
    for i = 1, 200 do
      want[i] = ("<%d>"):format(i)
      anchors[i] = unit.str(want[i])
      C.bufq_push_static(q, anchors[i])
    end
    C.stream_push(s, q)
    assert.equal(0, C.stream_flush(s))
    want = table.concat(want)
    assert.equal(want, peer:recv_all(#want))
    C.bufq_reset(q)
    C.stream_close(s)
  end)

  it("reports a peer that is gone and stays dead", function()
    local s, peer, job = net.stream()
    peer:reset()
    net.wait("reset", function() return job.n > 0 end)
    local r = C.stream_send(s, unit.str("x"))
    assert.is_true(r < 0)
    assert.equal(E.ERR_RESET, C.stream_flush(s))
    C.stream_close(s)
  end)

  it("sends the end after the queue, once", function()
    local s, peer = net.stream()
    assert.equal(0, C.stream_send(s, unit.str("bye")))
    assert.equal(0, C.stream_shut(s))
    assert.equal(0, C.stream_shut(s))
    assert.equal("bye", peer:recv())
    assert.equal("", peer:recv())
    C.stream_close(s)
  end)

  it("wakes once when asked to although nothing is queued", function()
    local s, _, job = net.stream()
    C.stream_want_write(s)
    net.settle()
    assert.equal(1, job.n)
    net.settle()
    assert.equal(1, job.n)
    C.stream_close(s)
  end)
end)

describe("net/stream life", function()
  it("closes twice without harm and tells the peer", function()
    local s, peer = net.stream()
    C.stream_close(s)
    C.stream_close(s)
    assert.equal("", peer:recv())
    assert.equal(-1, s.fd)
  end)

  it("moves to another struct with its bytes and without losing an edge", function()
    local s, peer, job = net.stream()
    peer:send("kept")
    net.wait("data", function() return job.n > 0 end)
    net.fill(s)
    local to = ffi.new("stream")
    C.stream_move(to, s)
    assert.equal(-1, s.fd)
    assert.equal("kept", net.input(to))
    local j, counter = net.job()
    to.user = j
    peer:send("!")
    net.wait("more", function() return counter.n > 0 end)
    assert.equal(1, net.fill(to))
    assert.equal("kept!", net.input(to))
    C.stream_close(s)
    C.stream_close(to)
  end)

  it("survives a descriptor number that is used again in the same turn", function()
    for _ = 1, 3 do
      local a = net.stream()
      net.settle()
      local fd = a.fd
      C.stream_close(a)
      local b, peer, job = net.stream()
      peer:send("x")
      net.wait("data", function() return job.n > 0 end)
      assert.equal(1, net.fill(b))
      assert.is_true(b.fd >= 0 and fd >= 0)
      C.stream_close(b)
      peer:close()
    end
  end)

  it("keeps many idle streams without buffers", function()
    unit.cdef("size_t mem_in_use(void);")
    local before = tonumber(C.mem_in_use())
    local all = {}
    for i = 1, 200 do
      local fd, peer = net.pair()
      local s = ffi.new("stream")
      assert(C.stream_open(s, loop, fd, nil, 0) == 0)
      peer:send("ping")
      assert.equal(4, net.fill(s))
      net.consume_all(s)
      assert.equal(0, C.stream_send(s, unit.str("pong")))
      C.stream_release_in(s)
      all[i] = { s, peer }
    end
    assert.equal(before, tonumber(C.mem_in_use()))
    for _, pair in ipairs(all) do
      C.stream_close(pair[1])
      pair[2]:close()
    end
  end)
end)

local net = require("spec.unit.core.net.support")
local ffi, C, E, unit = net.ffi, net.C, net.E, net.unit
local loop = net.loop()

unit.use("net/splice.h")

local function splice(from, to, p, n)
  return tonumber(C.stream_splice(from, to, p, n))
end

describe("net/splice", function()
  it("moves bytes from one socket to another and counts them", function()
    local a, pa, job = net.stream()
    local b, pb = net.stream()
    local p = C.splice_pipe_get(loop)
    assert.is_true(C.splice_can(a, b))
    assert.equal(E.ERR_AGAIN, splice(a, b, p, 100))
    pa:send("hello world")
    net.wait("data", function() return job.n > 0 end)
    assert.equal(5, splice(a, b, p, 5))
    assert.equal("hello", pb:recv())
    assert.equal(6, splice(a, b, p, 100))
    assert.equal(" world", pb:recv())
    assert.equal(E.ERR_AGAIN, splice(a, b, p, 100))
    assert.equal(11, tonumber(a.bytes_in))
    assert.equal(11, tonumber(b.bytes_out))
    C.splice_pipe_put(loop, p)
    C.stream_close(a)
    C.stream_close(b)
  end)

  it("carries a large body through a slow reader, woken by the side it waits for, to the end", function()
    local a, pa, ja = net.stream()
    local b, pb, jb = net.stream(8192)
    local p = C.splice_pipe_get(loop)
    local parts = {}
    for i = 1, 200000 do parts[i] = ("%07d"):format(i) end
    local text = table.concat(parts)
    local at, got, held, ended = 0, {}, 0, false
    net.wait("the end", function()
      if at < #text then
        if pa:ready(4, 0) then
          local n = tonumber(ffi.C.send(pa.fd, ffi.cast("const char *", text) + at, #text - at, 0x4040))
          at = at + math.max(n, 0)
        end
        if at == #text then pa:close() end
      end
      local r
      if ja.n + jb.n > 0 then
        ja.n, jb.n = 0, 0
        repeat
          r = splice(a, b, p, 1048576)
        until r < 0
        held = math.max(held, tonumber(p.held))
        ended = ended or r == E.ERR_EOF
      end
      local part = pb:recv(65536, 0)
      if part then got[#got + 1] = part end
      return ended and not pb:ready(1, 20)
    end)
    assert.is_true(table.concat(got) == text)
    assert.is_true(held > 0)
    assert.equal(0, tonumber(p.held))
    C.splice_pipe_put(loop, p)
    C.stream_close(a)
    C.stream_close(b)
  end)

  it("names the side that broke", function()
    local a, pa, ja = net.stream()
    local b, pb, jb = net.stream()
    local p = C.splice_pipe_get(loop)
    pb:reset()
    net.wait("reset", function() return jb.n > 0 end)
    pa:send("x")
    net.wait("data", function() return ja.n > 0 end)
    assert.is_true(splice(a, b, p, 10) < 0)
    assert.is_true(net.has(b.flags, E.STREAM_DEAD))
    assert.is_false(net.has(a.flags, E.STREAM_DEAD))
    assert.equal(1, tonumber(p.held))
    C.splice_pipe_put(loop, p)
    C.stream_close(a)
    C.stream_close(b)
  end)

  it("refuses streams with bytes in between", function()
    local a, pa, ja = net.stream()
    local b = net.stream()
    pa:send("unread")
    net.wait("data", function() return ja.n > 0 end)
    net.fill(a)
    assert.is_false(C.splice_can(a, b))
    net.consume_all(a)
    assert.is_true(C.splice_can(a, b))
    C.bufq_push_static(b.out, unit.str("queued"))
    assert.is_false(C.splice_can(a, b))
    C.stream_close(a)
    C.stream_close(b)
  end)

  it("uses empty pipes again and never one with bytes in it", function()
    local p = C.splice_pipe_get(loop)
    C.splice_pipe_put(loop, p)
    assert.is_true(C.splice_pipe_get(loop) == p)
    p.held = 1
    C.splice_pipe_put(loop, p)
    local q = C.splice_pipe_get(loop)
    assert.equal(0, tonumber(q.held))
    C.splice_pipe_put(loop, q)
    C.splice_pipe_put(loop, nil)
  end)
end)

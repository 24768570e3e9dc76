local net = require("spec.unit.core.net.support")
local ffi, C, unit = net.ffi, net.C, net.unit
local loop = net.loop()

unit.cdef("int raise(int); int pipe(int *); ssize_t write(int, const void *, size_t); ssize_t read(int, void *, size_t);")

describe("net/signal", function()
  it("turns a signal into an event", function()
    local got = {}
    local w = C.signal_start(loop, 10, net.callback("void (*)(int, void *)", function(n) got[#got + 1] = n end), nil)
    ffi.C.raise(10)
    net.wait("the signal", function() return #got > 0 end)
    assert.same({ 10 }, got)
    C.signal_stop(w)
    C.signal_stop(nil)
  end)

  it("watches any descriptor until stopped, even from inside the callback", function()
    local fds = ffi.new("int[2]")
    ffi.C.pipe(fds)
    local calls, w = 0, nil
    w = C.fd_watch_start(loop, fds[0], net.callback("void (*)(int, void *)", function()
      calls = calls + 1
      if calls == 2 then
        C.fd_watch_stop(w)
      end
    end), nil)
    ffi.C.write(fds[1], "x", 1)
    net.wait("two level-triggered calls", function() return calls == 2 end)
    net.settle()
    assert.equal(2, calls)
    ffi.C.close(fds[0])
    ffi.C.close(fds[1])
  end)
end)

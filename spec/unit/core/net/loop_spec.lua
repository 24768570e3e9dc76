local net = require("spec.unit.core.net.support")
local C = net.C
local loop = net.loop()

describe("net/loop", function()
  it("runs a woken job once, however often it was woken", function()
    local j, count = net.job()
    C.job_wake(loop, j)
    C.job_wake(loop, j)
    C.loop_turn(loop, 0)
    assert.equal(1, count.n)
    C.loop_turn(loop, 0)
    assert.equal(1, count.n)
  end)

  it("does not run a job that was cancelled while queued", function()
    local j, count = net.job()
    C.job_wake(loop, j)
    C.job_cancel(j)
    C.loop_turn(loop, 0)
    assert.equal(0, count.n)
  end)

  it("runs jobs in the order they were woken and those they wake after them", function()
    local order = {}
    local c = net.job(function() order[#order + 1] = "c" end)
    local a = net.job(function()
      order[#order + 1] = "a"
      C.job_wake(loop, c)
    end)
    local b = net.job(function() order[#order + 1] = "b" end)
    C.job_wake(loop, a)
    C.job_wake(loop, b)
    C.loop_drain(loop)
    assert.same({ "a", "b", "c" }, order)
  end)

  it("lets a job wake itself without starving the turn", function()
    local j, count
    j, count = net.job(function(n)
      if n.n < 10000 then
        C.job_wake(loop, j)
      end
    end)
    C.job_wake(loop, j)
    C.loop_drain(loop)
    assert.is_true(count.n < 10000)
    net.wait("the rest", function() return count.n == 10000 end)
  end)

  it("does not re-enter the queue from a job that drains it", function()
    local depth, deepest = 0, 0
    local b = net.job(function() deepest = math.max(deepest, depth) end)
    local a = net.job(function()
      depth = depth + 1
      C.job_wake(loop, b)
      C.loop_drain(loop)
      depth = depth - 1
    end)
    C.job_wake(loop, a)
    C.loop_turn(loop, 0)
    assert.equal(0, deepest)
  end)

  it("calls the idle hooks before it waits", function()
    local other = C.loop_new()
    local calls = 0
    C.loop_on_idle(other, net.callback("void (*)(void *)", function() calls = calls + 1 end), nil)
    C.loop_turn(other, 0)
    assert.equal(1, calls)
    C.loop_free(other)
  end)

  it("waits no longer than it was told and not at all when a job is queued", function()
    local start = C.clock_now_ns()
    C.loop_turn(loop, 30)
    local waited = tonumber(C.clock_now_ns() - start) / 1e6
    assert.is_true(waited >= 20 and waited < 500, waited)
  end)

  it("leaves loop_run when a job stops it", function()
    local j, count = net.job(function() C.loop_stop(loop) end)
    C.job_wake(loop, j)
    C.loop_run(loop)
    assert.equal(1, count.n)
  end)
end)

local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local lib = require("bench.trials.lib")
local run = require("spec.support.run")
local signal = require("posix.signal")
local vanish = require("bench.trials.vanish")
local wait = require("spec.support.wait")

describe("clients and origins that do everything wrong", function()
  it("leave nothing behind", run(function()
    assert.same({}, vanish.broken(vanish.run { seconds = 3, clients = 20, seed = 7 }))
  end))

  it("a reset right behind the end of a body is seen, though the answer is out already", run(function()
    local origin = lib.process("origin")
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" { proxy = "http://127.0.0.1:%d" }
    ]]):format(origin.port))
    local worker = ctl.workers(gw)[1]
    local c = client.connect(gw.port)
    c:send("POST /earlystay HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
    assert.equal(200, c:response().status)
    signal.kill(worker, signal.SIGSTOP) -- so that both come in one event
    c:send("67890")
    c:reset()
    signal.kill(worker, signal.SIGCONT)
    wait.till(function()
      return ctl.status(gw).workers[1].connections == 0
    end, "the connection to be closed")
  end))
end)

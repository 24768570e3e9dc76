--- gRPC through the gateway: a real client (grpcio) in front, a real server behind.
local gateway = require("spec.support.gateway")
local grpc = require("spec.support.grpc")
local run = require("spec.support.run")

local ask = grpc.ask

describe("gRPC", function()
  local gw

  setup(run.setup(function()
    local o = grpc.serve()
    gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, http2 = true, log = { access = false } }
      site "*" {
        proxy = "grpc://127.0.0.1:%d",
        timeouts = { read = "30s" },
      }
    ]]):format(o.port))
  end))
  teardown(run.teardown)

  it("calls pass, with metadata and trailers", run(function()
    assert.equal("echo:hi yes 1", ask(gw.port, "unary"))
  end))

  it("statuses of the server arrive", run(function()
    assert.equal("FAILED_PRECONDITION not now", ask(gw.port, "fail"))
  end))

  it("streams pass in both directions, message by message", run(function()
    assert.equal("0 1 2 3 4", ask(gw.port, "down"))
    assert.equal("5000000", ask(gw.port, "up"))
    assert.equal("b:0\nb:1\nb:2\nb:3\n0", ask(gw.port, "both"))
  end))

  it("many calls go at once over one connection", run(function()
    assert.equal("200", ask(gw.port, "many"))
  end))

  it("deadlines end calls", run(function()
    assert.is_truthy(ask(gw.port, "deadline"):find("^DEADLINE_EXCEEDED"))
  end))

  it("answers of the gateway are statuses that clients understand", run(function()
    local g = gateway.start([[
      gateway { listen = "127.0.0.1:0", workers = 1, http2 = true, log = { access = false } }
      local gone = upstream "gone" { "127.0.0.1:1", http2 = true }
      site "*" {
        route "/demo.Echo/*" { proxy = gone, on = { access = function(req)
          local wanted = tonumber(req.headers["X-Sent"])
          if wanted then return req:reply(wanted == 1 and 429 or wanted) end
        end } },
      }
    ]])
    assert.equal("UNAVAILABLE Bad Gateway", ask(g.port, "plain"))
    assert.equal("RESOURCE_EXHAUSTED Too Many Requests", ask(g.port, "unary"))
  end))
end)

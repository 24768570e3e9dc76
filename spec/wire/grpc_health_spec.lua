--- Active checks of type = "grpc": grpc.health.v1.Health/Check, asked of a real server.
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local h2_origin = require("spec.support.h2_origin")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local PYTHON = "/usr/bin/python3" -- Debian's, which has python3-grpcio

local function server(pair)
  local dir = tmp.dir()
  tmp.write(dir, "answer", "0801")
  tmp.write(dir, "asked", "")
  local args = { "spec/support/grpc_checked.py", dir .. "/answer", dir .. "/asked", pair and pair.cert, pair and pair.key }
  local o = h2_origin.serve(PYTHON, args)
  function o.say(text)
    tmp.write(dir, "answer", text)
  end
  function o.asked()
    return (tmp.read(dir .. "/asked"):match("^(%x*)\n"))
  end
  return o
end

local function start(o, check, more)
  return gateway.start(([[
    gateway { listen = "127.0.0.1:0", workers = 2, log = { access = false } }
    upstream "app" { "127.0.0.1:%d", %s
      health = { active = { type = "grpc", every = "50ms", rise = 1, fall = 1, %s } } }
    site "*" { proxy = "app" }
  ]]):format(o.port, more or "http2 = true,", check or ""))
end

local function becomes(gw, state)
  wait.till(function()
    return ctl.status(gw).upstreams[1].peers[1].state == state
  end, "it to be " .. state, 10)
end

describe("a check of gRPC", function()
  it("takes a server out that is not SERVING, and brings it back", run(function()
    local o = server()
    local gw = start(o)
    wait.till(o.asked, "it to be asked")
    assert.equal("", o.asked())
    becomes(gw, "up")
    o.say("0802") -- NOT_SERVING
    becomes(gw, "sick")
    gw:wait_log("peer 127.0.0.1:%d+ is (down): check: the health service does not say SERVING")
    o.say("0801")
    becomes(gw, "up")
    gw:wait_log("peer 127.0.0.1:%d+ is up (again)")
  end))

  it("asks for one service when told to", run(function()
    local o = server()
    start(o, 'service = "demo.Echo"')
    wait.till(o.asked, "it to be asked")
    assert.equal("0a09" .. ("demo.Echo"):gsub(".", function(c)
      return ("%02x"):format(c:byte())
    end), o.asked())
    local long = server()
    start(long, ("service = %q"):format(("s"):rep(200)))
    wait.till(long.asked, "it to be asked")
    assert.equal("0ac801" .. ("73"):rep(200), long.asked())
  end))

  it("takes errors of gRPC, and answers that are none of the service, for sickness", run(function()
    local o = server()
    local gw = start(o)
    local cases = {
      "UNIMPLEMENTED", "NOT_FOUND", "", -- status 0: UNKNOWN
      "0800", "0803", "08", "0a0108", "ffffffffffffffffffffff01", "080112ff7f", "08ffffffffffffffffff01", "0b",
      "128010" .. ("00"):rep(2048),
    }
    for _, answer in ipairs(cases) do
      o.say(answer)
      becomes(gw, "sick")
      o.say("0801")
      becomes(gw, "up")
    end
  end))

  it("steps over fields that it does not know", run(function()
    local o = server()
    o.say("0802")
    local gw = start(o)
    becomes(gw, "sick")
    o.say("120361626318052501020304210102030405060708080108" .. "01")
    becomes(gw, "up")
  end))

  it("goes over TLS where requests do", run(function()
    local pair = require("spec.support.certs").make("localhost")
    local o = server(pair)
    o.say("0802")
    local gw = start(o, nil, ('http2 = true, tls = { ca = %q, name = "localhost" },'):format(pair.cert))
    becomes(gw, "sick")
    gw:wait_log("(the health service does not say SERVING)")
    o.say("0801")
    becomes(gw, "up")
  end))

  it("finds servers sick that do not answer, or speak HTTP/1", run(function()
    local origin = require("spec.support.origin")
    becomes(start({ port = origin.hole() }, 'timeout = "100ms"'), "sick")
    becomes(start(origin.start()), "sick")
  end))

  it("is refused over TLS without HTTP/2, and with names that are too long", run(function()
    local cases = {
      ['tls = true, health = { active = { type = "grpc" } }'] = 'checks of type = "grpc" need HTTP/2 to the peers',
      ['health = { active = { service = "a" } }'] = 'health.active.service is for checks of type = "grpc"',
      ['health = { active = { type = "grpc", service = "' .. ("a"):rep(256) .. '" } }'] = "health.active.service is longer than 255 bytes",
    }
    for options, message in pairs(cases) do
      local text = ('upstream "u" { "127.0.0.1:1", %s } site "*" { proxy = "u" }'):format(options)
      local done = gateway.exec(text, { args = { "check", "{conf}" } })
      assert.equal(1, done.status)
      assert.is_truthy((done:stdout() .. done:stderr()):find(message, 1, true), done:stderr())
    end
  end))
end)

describe("a check over HTTP", function()
  it("speaks HTTP/2 where requests do", run(function()
    local o = h2_origin.start()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      upstream "app" { "127.0.0.1:%d", http2 = true, health = {
        active = { path = "/echo", every = "50ms", rise = 1, fall = 1, expect = { body = '"user-agent":"moongate-health"' } },
      } }
      site "*" { proxy = "app" }
    ]]):format(o.port))
    local function checks()
      return gw:stderr():find("is down", 1, true)
    end
    assert.is_true(wait.never(checks, 0.5))
    assert.equal("up", ctl.status(gw).upstreams[1].peers[1].state)
  end))
end)

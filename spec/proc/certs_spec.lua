local certs = require("spec.support.certs")
local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local function copy(from, to)
  local file = assert(io.open(to, "w"))
  file:write((assert(tmp.read(from))))
  file:close()
end

--- The serial number of the certificate that a handshake shows.
local function serial(gw)
  local c = client.connect(gw.port, { tls = { name = "localhost" } })
  local number = tostring(c:tls():getPeerCertificate():getSerial())
  c:close()
  return number
end

local function start(dir)
  return gateway.start(([[
    gateway { workers = 1, log = { access = false } }
    site "localhost" { tls = %q, listen = "127.0.0.1:0 tls", proxy = "http://127.0.0.1:1" }
  ]]):format(dir))
end

describe("a renewed certificate", function()
  it("is taken when both files belong together, and not before, without --watch", run(function()
    local dir, old, new = tmp.dir(), certs.fresh("localhost"), certs.fresh("localhost")
    copy(old.cert, dir .. "/fullchain.pem")
    copy(old.key, dir .. "/privkey.pem")
    local gw = start(dir)
    local first = serial(gw)
    copy(new.cert, dir .. "/fullchain.pem")
    gw:wait_log("generation 1 stays()")
    assert.equal(first, serial(gw))
    copy(new.key, dir .. "/privkey.pem")
    wait.till(function()
      return serial(gw) ~= first
    end, "the new certificate")
  end))

  it("brings no other change of the configuration with it", run(function()
    local dir, old, new = tmp.dir(), certs.fresh("localhost"), certs.fresh("localhost")
    copy(old.cert, dir .. "/fullchain.pem")
    copy(old.key, dir .. "/privkey.pem")
    local gw = start(dir)
    local first = serial(gw)
    gw:write(gw.name, "half an edit (")
    copy(new.cert, dir .. "/fullchain.pem")
    copy(new.key, dir .. "/privkey.pem")
    wait.till(function()
      return serial(gw) ~= first
    end, "the new certificate")
    assert.equal(2, ctl.status(gw).generation)
  end))
end)

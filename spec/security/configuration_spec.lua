--- Numbers of a configuration that would overflow, or take a bound away.
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")

local function rejects(site, gate)
  local gw = gateway.exec(([[
    gateway { listen = "127.0.0.1:0", workers = 1, %s }
    site "*" { proxy = "http://127.0.0.1:1", %s }
  ]]):format(gate or "", site or ""), { args = { "-t", "{conf}" } })
  assert.are_not.equal(0, gw.status, site or gate)
  assert.is_true(#gw:stderr() > 0)
end

describe("a configuration", function()
  local bad = {
    "client = { fields = 65536 }", "client = { fields = 4294967296 }", 'client = { head = "4g" }', 'client = { head = "4194305k" }',
    'client = { head = "99999999t" }', 'client = { target = "4g" }', 'client = { head = "0b" }', 'client = { header = "0s" }',
    'client = { header = "99999999999d" }', 'client = { body = "0s" }', 'client = { send = "0s" }', 'timeouts = { read = "0s" }',
    'timeouts = { connect = "0s" }', 'timeouts = { send = "0ms" }', 'timeouts = { read = "99999999d" }', 'websocket = { idle = "0s" }',
    'buffer = { head = "5g" }', 'body_limit = "999999999999t"', "client = { requests = 4294967297 }",
  }
  for _, text in ipairs(bad) do
    it("is refused with " .. text, run(function()
      rejects(text)
    end))
  end

  it("is refused with a limit beyond 32 bits", run(function()
    rejects("", "limits = { connections = 4294967296 }")
    rejects("", "limits = { per_address = 4294967297 }")
  end))

  it("is refused with fields that frame or split", run(function()
    for _, name in ipairs({ "Content-Length", "transfer-encoding", "CONNECTION", "Upgrade", "X B", "X\\r\\nY" }) do
      rejects(('headers = { set = { ["%s"] = "1" } }'):format(name))
      rejects(('request_headers = { set = { ["%s"] = "1" } }'):format(name))
      rejects(('reply = { status = 200, headers = { ["%s"] = "1" } }'):format(name))
    end
    rejects('headers = { set = { ["X-A"] = "a\\r\\nb" } }')
    rejects('request_headers = { add = { ["X-A"] = "a\\nb" } }')
  end))
end)

--- Access and error logs in the native dialect: several, with conditions, with variables in their names, for one route.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

describe("log", function()
  it("has several access logs, by condition and by name, and a route's own error log", run(function()
    local dir = tmp.dir()
    require("posix.sys.stat").chmod(dir, 511) -- workers make files there
    local config = ([[
      gateway {
        listen = "127.0.0.1:0", workers = 1,
        vars = { loud = { map = "$status", values = { ["~ ^[45]"] = "1" } } },
        log = { access = {
          { path = "DIR/all.log", format = "$request_uri $status", flush = "100ms" },
          { path = "DIR/bad.log", format = "$request_uri", when = "$loud", buffer = "4k", flush = "100ms" },
          { path = "DIR/$host.log", format = "$uri", escape = "none" },
        } },
      }
      site "*" {
        reply = {},
        route "/quiet" { reply = {}, log = { access = false } },
        route "/own" { files = { root = "DIR/none", log_missing = true }, log = { error = "DIR/own.log", level = "error" } },
      }
    ]]):gsub("DIR", dir)
    local gw = gateway.start(config)
    client.get(gw.port, "/a", { Host = "one.test" })
    client.get(gw.port, "/quiet", { Host = "one.test" })
    client.get(gw.port, "/own", { Host = "two.test" })
    wait.till(function()
      return (tmp.read(dir .. "/all.log") or ""):find("/own") and tmp.read(dir .. "/bad.log") == "/own\n"
        and (tmp.read(dir .. "/own.log") or ""):find("No such file", 1, true)
    end, "the lines")
    assert.equal("/a 200\n/own 404\n", tmp.read(dir .. "/all.log"))
    assert.equal("/a\n", tmp.read(dir .. "/one.test.log"))
    assert.equal("/own\n", tmp.read(dir .. "/two.test.log"))
    assert.is_nil(gw:stderr():find("No such file", 1, true))
  end))
end)

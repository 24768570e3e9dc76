--- Policies over generations: what is kept, what ends, what a broken one changes.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local wait = require("spec.support.wait")

local config = [[
  gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false, level = "info" }, shared = { marks = "64k" } }
  site "*" {
    reply = { status = 404 },
    route "/get/:key" { on = { access = function(req)
      return req:reply(200, tostring(mg.shared.marks:get(req.params.key)))
    end } },
    route "/say" { use = { policy "say" { word = "%s" } } },
    route "/slow" { use = { policy "slow" } },
  }
]]

local say = [[
  local mg = require "moongate"
  local helper = require "helper"
  return mg.policy {
    name = "say",
    options = mg.schema.record { word = mg.schema.string() },
    new = function(opt)
      return {
        init = function()
          mg.shared.marks:set("started", opt.word)
          while true do
            mg.shared.marks:incr("beats:" .. opt.word, 1, 0)
            mg.sleep(0.01)
          end
        end,
        access = function(req) return req:reply(200, helper.wrap(opt.word)) end,
      }
    end,
  }
]]

local slow = [[
  local mg = require "moongate"
  return mg.policy { name = "slow", hooks = {
    access = function(req)
      mg.shared.marks:set("waiting", true)
      mg.sleep(0.5)
      return req:reply(200, "old code")
    end,
  } }
]]

describe("policies over generations", function()
  local gw

  setup(run.setup(function()
    gw = gateway.start(config:format("one"), { files = {
      ["policies/say.lua"] = say, ["policies/slow.lua"] = slow,
      ["helper.lua"] = 'return { wrap = function(s) return "<" .. s .. ">" end }',
    } })
  end))
  teardown(run.teardown)

  local function get(path)
    return client.get(gw.port, path).body
  end

  local function reload(text)
    local from = gw:mark()
    gw:reload(text)
    return from
  end

  it("require modules beside the configuration", run(function()
    assert.equal("<one>", get("/say"))
  end))

  it("run init once, as a task that may loop", run(function()
    wait.till(function() return get("/get/started") == "one" end, "init", 5)
    wait.till(function() return (tonumber(get("/get/beats:one")) or 0) > 5 end, "beats", 5)
  end))

  it("finish requests in flight on their own code, keep shared state, end old tasks", run(function()
    local c = client.connect(gw.port)
    c:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    wait.till(function() return get("/get/waiting") == "true" end, "the slow request", 5)
    gw:write("policies/slow.lua", (slow:gsub("old code", "new code")))
    reload(config:format("two"))
    wait.till(function() return get("/say") == "<two>" end, "the new generation", 5)
    assert.equal("new code", get("/slow"))
    assert.equal("old code", c:response().body)
    wait.till(function() return get("/get/started") == "two" end, "the new init", 5)
    local beats = tonumber(get("/get/beats:one"))
    local now = tonumber(get("/get/beats:two"))
    wait.till(function() return tonumber(get("/get/beats:two")) > now + 5 end, "new beats", 5)
    assert.equal(beats, tonumber(get("/get/beats:one")))
  end))

  local function refused(file, text, pattern)
    gw:write(file, text)
    local from = reload()
    gw:wait_log(pattern, from)
    assert.equal("<two>", get("/say"))
  end

  it("change nothing when one is broken", run(function()
    refused("policies/say.lua", "return mg.policy {", "say%.lua")
    refused("policies/say.lua", "error('at load')", "at load")
    refused("policies/say.lua", "return 5", "a policy file returns mg%.policy")
    refused("policies/say.lua", say:gsub("new = function%(opt%)", "new = function(opt) error('in new')"), "in new")
    refused("policies/say.lua", say:gsub("word = mg", "other = mg"), "unknown option 'word'")
    refused("policies/say.lua", say:gsub("access =", "acess ="), "acess")
    gw:write("policies/say.lua", say)
  end))
end)

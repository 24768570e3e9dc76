--- Hooks that misbehave: what their client gets, and that neighbours do not notice.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")

describe("a hook that misbehaves", function()
  local gw

  setup(run.setup(function()
    local o = origin.start(function() return 200, {}, "fine" end)
    gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false },
                scripts = { cpu = "200ms", memory = "24m" } }
      local up = upstream "up" { "127.0.0.1:%d" }
      local kept = {}
      site "*" {
        proxy = up,
        route "/fine" {},
        route "/throws" { on = { access = function() local x = nil return x.field end } },
        route "/object" { on = { access = function() error({ code = 1 }) end } },
        route "/nonsense" { on = { access = function() return "yes" end } },
        route "/while" { on = { access = function() while true do end end } },
        route "/count" { on = { access = function() local i = 0 while true do i = i + 1 end end } },
        route "/pcall" { on = { access = function() while true do pcall(function() while true do end end) end end } },
        route "/recurse" { on = { access = function() local function f() return f() end return f() end } },
        route "/deep" { on = { access = function() local function f() return 1 + f() end return f() end } },
        route "/string" { on = { access = function() local s = "" while true do s = ("x"):rep(10) end end } },
        route "/header" { on = { header = function() while true do end end } },
        route "/memory" { on = { access = function() local t = {} for i = 1, 1e9 do t[i] = { i } end end } },
        route "/rep" { on = { access = function() return #("x").rep("x", 1e9) end } },
        route "/crlf" { on = { access = function(req) req.headers["X-A"] = "a\r\nX-B: b" end } },
        route "/rescrlf" { on = { header = function(_, res) res.headers["X-A"] = "a\nb" end } },
        route "/name" { on = { access = function(req) req.headers["X A"] = "a" end } },
        route "/length" { on = { header = function(_, res) res.headers["Content-Length"] = "1" end } },
        route "/yield" { on = { access = function() coroutine.yield() end } },
        route "/body" { on = { body = function() error("cut") end } },
        route "/log" { on = { log = function() error("after") end } },
      }
    ]]):format(o.port))
  end))
  teardown(run.teardown)

  local function try(path, status, text)
    local from = gw:mark()
    local res = client.get(gw.port, path)
    assert.equal(status, res.status, path)
    gw:wait_log(text, from)
    assert.equal("fine", client.get(gw.port, "/fine").body)
  end

  it("by an error: 500, the place in the log", run(function()
    try("/throws", 500, "attempt to index local 'x'")
    try("/object", 500, "error object is not a string")
    try("/nonsense", 500, "the hook returned a string")
    try("/deep", 500, "stack overflow")
    try("/yield", 500, "access hook of policy")
  end))

  it("by a loop, in compiled code, behind pcall: stopped by its CPU budget", run(function()
    for _, path in ipairs { "/while", "/count", "/pcall", "/recurse", "/string", "/header" } do
      try(path, 500, "used more CPU time than a hook may")
    end
  end))

  it("by eating memory: stopped by the limit, the state goes on", run(function()
    try("/memory", 500, "not enough memory")
    try("/rep", 500, "not enough memory")
    try("/memory", 500, "not enough memory")
  end))

  it("by fields that would break the message", run(function()
    try("/crlf", 500, "header 'X%-A': the value contains a line break")
    try("/rescrlf", 500, "header 'X%-A': the value contains a line break")
    try("/name", 500, "'X A' cannot be the name of a header field")
    try("/length", 500, "header 'Content%-Length' belongs to the connection")
  end))

  it("in the body: the message is broken, not completed", run(function()
    local c = client.connect(gw.port)
    c:request("GET", "/body")
    local res = c:response({ may_fail = true })
    assert.truthy(res == nil or res.error ~= nil)
    assert.equal("fine", client.get(gw.port, "/fine").body)
  end))

  it("after the answer: only the log knows", run(function()
    try("/log", 200, "log hook of policy")
  end))
end)

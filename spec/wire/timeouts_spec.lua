--- Every wait ends: connect, send, read, total, client.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")
local wait = require("spec.support.wait")

local function took(fn)
  local from = wait.now()
  local res = fn()
  return res, wait.now() - from
end

local function peers(...)
  local list = {}
  for i, port in ipairs({ ... }) do
    list[i] = ('"127.0.0.1:%d"'):format(port)
  end
  return table.concat(list, ", ")
end

local function group(list, site, options)
  return gateway.start(([[
    gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false, level = "info" } }
    local b = upstream "b" { %s, balance = "round_robin", %s }
    site "*" { proxy = b, %s }
  ]]):format(list, options or "", site or ""))
end

describe("timeouts.connect", function()
  it("ends in a 504", run(function()
    local gw = start.proxy(origin.hole(), 'timeouts = { connect = "150ms" }, retry = false')
    local res, seconds = took(function() return client.get(gw.port, "/") end)
    assert.equal(504, res.status)
    assert.is_true(seconds >= 0.14 and seconds < run.scaled(2))
  end))

  it("moves on to another peer, for a POST too: nothing was sent", run(function()
    local o = origin.start()
    for _ = 1, 2 do
      local gw = group(peers(origin.hole(), o.port), 'timeouts = { connect = "150ms" }')
      assert.equal("ok", client.call(gw.port, "POST", "/", nil, "body").body)
    end
  end))
end)

describe("timeouts.read", function()
  it("without a head ends in a 504 and keeps the client's connection", run(function()
    local o = origin.start(function(req, res)
      if req.path == "/hang" then
        return res:hang()
      end
      return 200, nil, "ok"
    end)
    local gw = start.proxy(o.port, 'timeouts = { read = "150ms" }, retry = false')
    local c = client.connect(gw.port)
    assert.equal(504, c:get("/hang").status)
    assert.equal("ok", c:get("/").body)
  end))

  it("in the body cuts the answer", run(function()
    local o = origin.start(function(_, res)
      res:head(200, { ["Content-Length"] = "100" })
      res:raw("some")
      res:hang()
    end)
    local gw = start.proxy(o.port, 'timeouts = { read = "150ms" }')
    local res = client.get(gw.port, "/")
    assert.equal("some", res.body)
    assert.truthy(res.error)
  end))

  it("is between two reads, not for all", run(function()
    local o = origin.start(function(_, res)
      res:chunked(200)
      for _ = 1, 8 do
        res:chunk("x")
        require("cqueues").poll(0.1)
      end
      res:last()
    end)
    local gw = start.proxy(o.port, 'timeouts = { read = "500ms" }')
    assert.equal("xxxxxxxx", client.get(gw.port, "/").body)
  end))

  it("moves on to another peer when the request may be repeated", run(function()
    local hanging = origin.start(function(_, res) res:hang() end)
    local o = origin.start()
    local gw = group(peers(hanging.port, o.port), 'timeouts = { read = "150ms" }, retry = { tries = 2, on = { "timeout" } }')
    assert.equal("ok", client.get(gw.port, "/").body)
    assert.equal("ok", client.get(gw.port, "/").body)
    assert.equal(1, #hanging.requests)
  end))

  it("does not count while the client still sends its body", run(function()
    local o = origin.start(function(req) return 200, nil, req.body end)
    local gw = start.proxy(o.port, 'timeouts = { read = "200ms" }')
    local c = client.connect(gw.port)
    c:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
    for i = 1, 6 do
      assert.is_true(c:is_quiet(0.1))
      c:send(tostring(i))
    end
    assert.equal("123456", c:response().body)
  end))
end)

describe("timeouts.read in an exchange both ways", function()
  it("does not count while the body still goes up", run(function()
    local o = origin.start(function(req, res)
      res:chunked(200)
      res:chunk("early")
      req:read_body()
      res:chunk(req.body)
      res:last()
    end, { lazy = true })
    local gw = start.proxy(o.port, 'timeouts = { read = "250ms" }')
    local c = client.connect(gw.port)
    c:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
    assert.equal(200, c:head().status)
    assert.equal("5\r\nearly\r\n", c:read(10))
    for i = 1, 6 do
      assert.is_true(c:is_quiet(0.1))
      c:send(tostring(i))
    end
    assert.equal("6\r\n123456\r\n0\r\n\r\n", c:read(16))
  end))
end)

describe("timeouts.send", function()
  it("ends in a 504 when the origin stops reading, and the client gets to see it", run(function()
    local o = origin.start(function(_, res) res:wait(origin.gate()) end, { lazy = true })
    local gw = start.proxy(o.port, 'timeouts = { send = "200ms" }, body_limit = false, retry = false')
    local c = client.connect(gw.port)
    run.spawn(function()
      pcall(c.request, c, "POST", "/", nil, ("x"):rep(20 * 1024 * 1024))
    end)
    assert.equal(504, c:response().status)
    o:drop()
  end))
end)

describe("timeouts.total", function()
  it("ends in a 504 before the head", run(function()
    local o = origin.start(function(_, res) res:hang() end)
    local gw = start.proxy(o.port, 'timeouts = { total = "200ms" }')
    local res, seconds = took(function() return client.get(gw.port, "/") end)
    assert.equal(504, res.status)
    assert.is_true(seconds < run.scaled(2))
    assert.equal(1, #o.requests)
  end))

  it("cuts an answer that drips", run(function()
    local o = origin.start(function(_, res)
      res:chunked(200)
      for _ = 1, 200 do
        if not res:chunk("x") then
          return
        end
        require("cqueues").poll(0.02)
      end
    end)
    local gw = start.proxy(o.port, 'timeouts = { total = "300ms" }')
    local res, seconds = took(function() return client.get(gw.port, "/") end)
    assert.truthy(res.error)
    assert.is_true(seconds < run.scaled(2))
  end))
end)

describe("client.body", function()
  it("ends in a 408", run(function()
    local o = origin.start()
    local gw = start.proxy(o.port, 'client = { body = "150ms" }')
    local c = client.connect(gw.port)
    c:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
    local res = c:response()
    assert.equal(408, res.status)
    assert.equal("close", res.headers:get("Connection"))
  end))

  it("ends in a 408 when the body is held", run(function()
    local o = origin.start()
    local gw = start.proxy(o.port, 'client = { body = "150ms" }, buffer_request = true')
    local c = client.connect(gw.port)
    c:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf")
    assert.equal(408, c:response().status)
    assert.equal(0, o.connections)
  end))
end)

describe("client.send", function()
  local big = ("x"):rep(30 * 1024 * 1024)

  it("closes a client that takes nothing of a large answer", run(function()
    local o = origin.start(function() return 200, nil, big end)
    local gw = start.proxy(o.port, 'client = { send = "300ms" }, buffer = false')
    local c = client.connect(gw.port)
    c:request("GET", "/")
    wait.till(function() return o.open == 0 end, "the origin's connection to be closed", 8)
  end))

  it("closes a client that takes nothing of what was buffered", run(function()
    local o = origin.start(function() return 200, nil, big end)
    local gw = start.proxy(o.port, 'client = { send = "300ms" }, log = { access = "-" }')
    local c = client.connect(gw.port)
    c:request("GET", "/")
    wait.till(function() return gw:stdout():find('"GET"', 1, true) end, "the request to end", 8)
    local got, err = c:rest()
    assert.is_true(#got < #big or err ~= nil)
  end))
end)

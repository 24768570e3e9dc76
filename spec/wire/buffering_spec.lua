--- Responses on their way: buffered for slow clients, or passed on at once.
local client = require("spec.support.client")
local http = require("spec.support.http")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")
local wait = require("spec.support.wait")

local big = ("0123456789abcdef"):rep(2 * 1024 * 1024) -- 32 MB: more than sockets hold

describe("a buffered answer", function()
  it("frees the origin although the client does not read", run(function()
    local done = false
    local o = origin.start(function(_, res)
      res:send(200, nil, big)
      done = true
    end)
    local c = client.connect(start.proxy(o.port).port)
    c:request("GET", "/")
    wait.till(function() return done end, "the origin to be rid of it", 8)
    local res = c:response()
    assert.is_true(res.body == big)
  end))

  it("in chunks frees the origin too, and arrives whole", run(function()
    local done = false
    local piece = big:sub(1, 1024 * 1024)
    local o = origin.start(function(_, res)
      res:chunked(200)
      for _ = 1, 32 do
        res:chunk(piece)
      end
      res:last()
      done = true
    end)
    local c = client.connect(start.proxy(o.port).port)
    c:request("GET", "/")
    wait.till(function() return done end, "the origin to be rid of it", 8)
    assert.is_true(c:response().body == big)
  end))

  it("beyond memory and file holds the origin back", run(function()
    local o = origin.start(function(_, res) res:send(200, nil, big) end)
    local gw = start.proxy(o.port, 'buffer = { memory = "64k", file = "1m" }')
    local c = client.connect(gw.port)
    c:request("GET", "/")
    wait.till(function() return #o.requests == 1 end)
    assert.is_true(c:response().body == big)
  end))

  it("without a file stays in memory", run(function()
    local o = origin.start(function(_, res) res:send(200, nil, big) end)
    local gw = start.proxy(o.port, 'buffer = { memory = "64k", file = false }')
    assert.is_true(client.get(gw.port, "/").body == big)
  end))

  it("still passes small pieces at once", run(function()
    local gate = origin.gate()
    local o = origin.start(function(_, res)
      res:chunked(200)
      res:chunk("first")
      res:wait(gate)
      res:last()
    end)
    local c = client.connect(start.proxy(o.port).port)
    c:request("GET", "/")
    assert.equal(200, c:head().status)
    assert.equal("5\r\nfirst\r\n", c:read(10))
    gate.open()
    assert.equal("0\r\n\r\n", c:read(5))
  end))

  it("holds small pieces back when asked to", run(function()
    local gate = origin.gate()
    local o = origin.start(function(_, res)
      res:chunked(200)
      res:chunk("first")
      res:wait(gate)
      res:chunk("second")
      res:last()
    end)
    local c = client.connect(start.proxy(o.port, "buffer = { hold = true }").port)
    c:request("GET", "/")
    c:head()
    assert.is_true(c:is_quiet(0.1))
    gate.open()
    assert.equal("firstsecond", (http.read_chunked(c.sock)))
  end))

  it("to a client that goes away is given up, and the gateway goes on", run(function()
    local o = origin.start(function(req, res)
      res:send(200, nil, req.path == "/big" and big or "ok")
    end)
    local gw = start.proxy(o.port)
    for i = 1, 4 do
      local c = client.connect(gw.port)
      c:request("GET", "/big")
      c:read(1000 * i)
      if i % 2 == 0 then
        c:reset()
      else
        c:close()
      end
    end
    assert.equal("ok", client.get(gw.port, "/").body)
  end))
end)

describe("an unbuffered answer", function()
  it("holds the origin back when the client does not read", run(function()
    local done = false
    local o = origin.start(function(_, res)
      res:send(200, nil, big)
      done = true
    end)
    local c = client.connect(start.proxy(o.port, "buffer = false").port)
    c:request("GET", "/")
    assert.is_true(wait.never(function() return done end, 0.3))
    assert.is_true(c:response().body == big)
  end))

  local function passes_at_once(headers, site)
    local gate = origin.gate()
    local o = origin.start(function(_, res)
      res:chunked(200, headers)
      res:chunk("data: 1\n\n")
      res:wait(gate)
      res:last()
    end)
    local c = client.connect(start.proxy(o.port, site).port)
    c:request("GET", "/")
    assert.equal(200, c:head().status)
    assert.equal("9\r\ndata: 1\n\n\r\n", c:read(14))
    gate.open()
    assert.equal("0\r\n\r\n", c:read(5))
  end

  it("passes each piece at once", run(function()
    passes_at_once(nil, "buffer = false")
  end))

  it("is what an event stream gets, whatever the route says", run(function()
    passes_at_once({ ["Content-Type"] = "text/event-stream; charset=utf-8" }, "buffer = { hold = true }")
  end))

  it("is what X-Accel-Buffering: no asks for", run(function()
    passes_at_once({ ["X-Accel-Buffering"] = "no" }, "buffer = { hold = true }")
  end))
end)

describe("memory", function()
  -- ASan keeps what was freed for a while.
  local slack = os.getenv("MG_ASAN") and 10 or 1

  local function resident(gw)
    local children = io.open(("/proc/%d/task/%d/children"):format(gw.pid, gw.pid)):read("*a")
    local status = io.open(("/proc/%s/status"):format(children:match("%d+"))):read("*a")
    return tonumber(status:match("VmRSS:%s*(%d+)")) * 1024
  end

  --- Waits until it does not change any more; returns it.
  local function settled(gw)
    local last = -1
    return wait.till(function()
      local now = resident(gw)
      local still = now == last
      last = now
      return still and wait.never(function() return resident(gw) ~= now end, 0.1) and now
    end, "memory to settle", 8)
  end

  local function slow_readers(site, body_bytes, clients)
    local o = origin.start(function(req, res)
      if req.path == "/chunked" then
        res:chunked(200)
        for at = 1, body_bytes, 100000 do
          res:chunk(big:sub(at, math.min(at + 99999, body_bytes)))
        end
        return res:last()
      end
      res:send(200, nil, big:sub(1, body_bytes))
    end)
    local gw = start.proxy(o.port, site)
    client.get(gw.port, "/")
    local before, list = resident(gw), {}
    for i = 1, clients do
      list[i] = client.connect(gw.port)
      list[i]:request("GET", i % 2 == 0 and "/chunked" or "/")
    end
    wait.till(function() return #o.requests == clients + 1 end)
    return settled(gw) - before
  end

  it("stays bounded when many clients do not read what is buffered", run(function()
    local grown = slow_readers('buffer = { memory = "64k" }', 8 * 1024 * 1024, 16)
    assert.is_true(grown < 16 * 600 * 1024 * slack, "grown by " .. grown)
  end))

  it("stays bounded when many clients do not read what is not buffered", run(function()
    local grown = slow_readers("buffer = false", 8 * 1024 * 1024, 16)
    assert.is_true(grown < 16 * 900 * 1024 * slack, "grown by " .. grown)
  end))

  it("stays bounded for a body of tiny chunks that is held", run(function()
    local o = origin.start()
    local gw = start.proxy(o.port, 'buffer_request = { memory = "256k" }')
    client.get(gw.port, "/")
    local before = resident(gw)
    local list = {}
    for i = 1, 20 do
      list[i] = client.connect(gw.port)
      list[i]:send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" .. ("1\r\nx\r\n"):rep(100000))
    end
    local grown = settled(gw) - before
    assert.is_true(grown < 20 * 600 * 1024 * slack, "grown by " .. grown)
    for _, c in ipairs(list) do
      c:send("0\r\n\r\n")
      assert.equal(200, c:response().status)
    end
  end))
end)

describe("an event stream", function()
  it("whose client goes away is ended at the origin", run(function()
    local o = origin.start(function(_, res)
      res:chunked(200, { ["Content-Type"] = "text/event-stream" })
      res:chunk("data: 1\n\n")
      res:hang()
    end)
    local c = client.connect(start.proxy(o.port).port)
    c:request("GET", "/")
    c:head()
    c:read(14)
    c:close()
    wait.till(function() return o.open == 0 end)
  end))
end)

--- Every wait ends and every queue is bounded, whoever is slow, silent or greedy.
local client = require("spec.support.client")
local cqueues = require("cqueues")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local signal = require("posix.signal")
local start = require("spec.wire.start")
local wait = require("spec.support.wait")

describe("descriptors that run out", function()
  it("make newcomers wait, and harm nobody who is there", run(function()
    local o = origin.start()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" { proxy = "http://127.0.0.1:%d", retry = false, route "/fixed" { reply = { status = 200, body = "ok" } } }
    ]]):format(o.port), { binary = "/bin/sh", args = { "-c", "ulimit -n 72; exec " .. gateway.binary() .. " run {conf}" } })
    local first = client.connect(gw.port)
    assert.equal("ok", first:get("/fixed").body)
    local crowd = {}
    for i = 1, 90 do
      crowd[i] = client.connect(gw.port)
      crowd[i]:send("GET /fixed HTTP/1.1\r\nHost: a\r\n\r\n")
    end
    gw:wait_log("(accept failed)")
    assert.equal("ok", first:get("/fixed").body)
    local status = first:get("/proxied").status
    assert.is_true(status == 200 or status == 502 or status == 503, tostring(status))
    for _, c in ipairs(crowd) do
      c:close()
    end
    wait.till(function()
      local c = client.connect(gw.port, { may_fail = true })
      local res = c and c:request("GET", "/fixed") and c:response({ may_fail = true })
      return res and res.status == 200
    end, "room again")
    local _, complaints = gw:stderr():gsub("accept failed", "")
    assert.is_true(complaints < 100, complaints .. " lines about it")
    assert.equal(200, first:get("/proxied").status)
  end))
end)

describe("connections", function()
  it("past the worker's limit are closed, and the place is free again after one ends", run(function()
    local o = origin.start()
    local gw = start.proxy(o.port, "", "limits = { connections = 3 },")
    local kept = {}
    for i = 1, 3 do
      kept[i] = client.connect(gw.port)
      assert.equal(200, kept[i]:get("/").status)
    end
    assert.is_true(client.connect(gw.port):is_closed())
    kept[1]:close()
    wait.till(function()
      local c = client.connect(gw.port)
      local res = c:request("GET", "/") and c:response({ may_fail = true })
      c:close()
      return res and res.status == 200
    end, "a free place")
  end))

  it("past an address' limit are closed, others are not", run(function()
    local o = origin.start()
    local gw = gateway.start(([[
      gateway { listen = { "127.0.0.1:0", "unix:%s/s" }, workers = 1, limits = { per_address = 2 }, log = { access = false } }
      site "*" { proxy = "http://127.0.0.1:%d" }
    ]]):format(require("spec.support.tmp").dir(), o.port), { listeners = 2 })
    local kept = {}
    for i = 1, 2 do
      kept[i] = client.connect(gw.port)
      assert.equal(200, kept[i]:get("/").status)
    end
    assert.is_true(client.connect(gw.port):is_closed())
    local other = client.connect(gw.addresses[2])
    assert.equal(200, other:get("/").status)
  end))
end)

describe("connections behind a PROXY header", function()
  it("are counted by the address that it says", run(function()
    local o = origin.start()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0 proxy_protocol", workers = 1, limits = { per_address = 2 }, log = { access = false } }
      site "*" { proxy = "http://127.0.0.1:%d" }
    ]]):format(o.port))
    local function open(ip)
      local c = client.connect(gw.port)
      c:send("PROXY TCP4 " .. ip .. " 192.0.2.1 5555 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
      local res = c:response({ may_fail = true })
      return c, res and res.status
    end
    local kept = {}
    for i = 1, 4 do
      local status
      kept[i], status = open(i <= 2 and "192.0.2.7" or "192.0.2.8")
      assert.equal(200, status)
    end
    assert.is_nil(select(2, open("192.0.2.7")))
    assert.equal(200, select(2, open("192.0.2.9")))
    assert.equal(4, #kept) -- open until here
  end))
end)

describe("a client that drips", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    gw = start.proxy(o.port, 'client = { header = "500ms", body = "500ms" }, timeouts = { idle = "500ms" },')
  end))
  teardown(run.teardown)

  local function drip(c, bytes, pause, seconds)
    local from = cqueues.monotime()
    local at = 1
    while cqueues.monotime() - from < run.scaled(seconds) do
      if not c:send(bytes:sub(at, at)) then
        break
      end
      at = at % #bytes + 1
      if c:is_quiet(pause) == false then
        break
      end
    end
    return cqueues.monotime() - from
  end

  it("its head has one deadline for all of it", run(function()
    for _, bytes in ipairs({ "GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("x"):rep(1000), "\r\n\r\n\r\n" }) do
      local c = client.connect(gw.port)
      local took = drip(c, bytes, 0.1, 3)
      assert.is_true(took < run.scaled(1.5), took)
    end
  end))

  it("its second head too", run(function()
    local c = client.connect(gw.port)
    assert.equal(200, c:get("/").status)
    local took = drip(c, "GET / HTTP/1.1\r\nHost: a\r\nX: " .. ("x"):rep(1000), 0.1, 3)
    assert.is_true(took < run.scaled(2), took)
  end))

  it("empty lines between requests extend nothing", run(function()
    local c = client.connect(gw.port)
    assert.equal(200, c:get("/").status)
    assert.is_true(drip(c, "\r\n", 0.2, 4) < run.scaled(2))
  end))

  it("in the rest of a body nobody wants ends too", run(function()
    local gw2 = start.proxy(o.port, "", "client = { header = \"1s\" },")
    local c = client.connect(gw2.port)
    c:send("CONNECT x HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n")
    assert.equal(400, c:response().status)
    assert.is_true(c:is_closed(12))
  end))
end)

describe("an upstream", function()
  it("that floods with interim responses is given up", run(function()
    local o = origin.start(function(_, res)
      for _ = 1, 2000 do
        if not res:raw("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") then
          return
        end
      end
      res:hang()
    end)
    local gw = start.proxy(o.port, 'retry = false, timeouts = { read = "2s" },')
    local c = client.connect(gw.port)
    c:request("GET", "/")
    local res = c:response()
    assert.equal(502, res.status)
    assert.is_true(#res.interim < 100)
  end))

  it("that drips interim responses has one deadline between them, and an end", run(function()
    local o = origin.start(function(_, res)
      res:drip(("HTTP/1.1 103 Early Hints\r\n\r\n"):rep(500), 28, 0.02)
    end)
    local gw = start.proxy(o.port, 'retry = false, timeouts = { read = "1s" },')
    local res = client.get(gw.port, "/")
    assert.is_true(res.status == 502 or res.status == 504)
  end))

  it("that is stopped ends in a 504 and serves again when it goes on", run(function()
    local back = gateway.start([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" { reply = { status = 200, body = "back" } }
    ]])
    local gw = start.proxy(back.port, 'retry = false, timeouts = { read = "500ms" },')
    assert.equal("back", client.get(gw.port, "/").body)
    signal.kill(-back.pid, signal.SIGSTOP)
    local from = cqueues.monotime()
    for _ = 1, 3 do
      assert.equal(504, client.get(gw.port, "/").status)
    end
    assert.is_true(cqueues.monotime() - from < run.scaled(5))
    signal.kill(-back.pid, signal.SIGCONT)
    wait.till(function()
      return client.get(gw.port, "/").status == 200
    end, "it to answer again")
  end))

  it("that says more than it promised is not asked again on that connection", run(function()
    local o = origin.start(function(_, res)
      res:raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    end)
    local gw = start.proxy(o.port)
    local c = client.connect(gw.port)
    for _ = 1, 5 do
      assert.equal("ok", c:get("/").body)
    end
    assert.equal(5, o.connections)
  end))

  it("that answers HEAD, 204 or 304 with a body does not shift the answers", run(function()
    local evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    local o = origin.start(function(req, res)
      local status = tonumber(req.path:match("%d+")) or 200
      res:raw(("HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n"):format(status, #evil) .. evil)
    end)
    local gw = start.proxy(o.port)
    local c = client.connect(gw.port)
    for _, path in ipairs({ "/204", "/304" }) do
      assert.equal(tonumber(path:sub(2)), c:get(path).status)
    end
    assert.equal(200, c:call("HEAD", "/").status)
    c.head_only = false
    assert.equal(evil, c:get("/200").body)
  end))
end)

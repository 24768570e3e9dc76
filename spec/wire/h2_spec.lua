--- HTTP/2 with clients, frame by frame. What h2spec asks is not repeated here.
local client = require("spec.support.client")
local h2 = require("spec.support.h2")
local origin = require("spec.support.origin")
local process = require("spec.support.gateway")
local run = require("spec.support.run")
local start = require("spec.wire.start")
local wait = require("spec.support.wait")

local CALM, CANCEL, PROTOCOL, REFUSED = 11, 8, 1, 7

local function gate(o, site, gateway)
  return start.proxy(o.port, "http2 = true, " .. (site or ""), gateway)
end

describe("HTTP/2", function()
  it("carries requests and answers", run(function()
    local o = origin.start(function(req)
      return 200, { ["X-Path"] = req.path }, req.method .. (req.body or "")
    end)
    local c = h2.connect(gate(o).port)
    local res = c:get("/a?b=1", { { "x-one", "1" } })
    assert.equal(200, res.status)
    assert.equal("/a", res.headers["x-path"])
    assert.equal("GET", res.body)
    assert.equal("3", res.headers["content-length"])
    assert.is_nil(res.headers.connection)
    assert.equal("1", o:last().headers:get("X-One"))
    assert.equal("localhost", o:last().headers:get("Host"))
    assert.equal("POSTxyz", c:call { path = "/p", body = "xyz" }.body)
    assert.equal(1, o.connections)
  end))

  it("is known by its preface beside HTTP/1, in pieces too", run(function()
    local o = origin.start()
    local gw = gate(o)
    assert.equal(200, client.get(gw.port, "/").status)
    assert.equal(200, client.connect(gw.port):call("POST", "/", nil, "x").status)
    local c = client.connect(gw.port)
    c:send("PRI * HTTP/2.0\r\n")
    assert.is_true(c:is_quiet(0.05))
    c:send("\r\nSM\r\n\r\n" .. h2.frame(4, 0, 0, ""))
    assert.equal("\4", c:read(9):sub(4, 4))
    c = client.connect(gw.port)
    c:send("PRI * HTTP/2.0\r\n\r\nxxxxxxxx")
    assert.equal(400, c:response().status)
  end))

  it("is off on plain ports unless asked for", run(function()
    local c = client.connect(start.proxy(origin.start().port).port)
    c:send(h2.PREFACE)
    assert.is_truthy(c:response().status >= 400)
  end))

  it("joins cookies, drops TE, keeps the order of fields", run(function()
    local o = origin.start()
    local c = h2.connect(gate(o).port)
    assert.equal(200, c:get("/", { { "cookie", "a=1" }, { "x-b", "2" }, { "cookie", "c=3" }, { "te", "trailers" } }).status)
    assert.same({ "a=1; c=3" }, o:last().headers:all("Cookie"))
    assert.is_nil(o:last().headers:get("TE"))
  end))

  it("answers malformed requests with 400 and a reset, and goes on", run(function()
    local o = origin.start()
    local c = h2.connect(gate(o).port)
    local function fields(extra)
      local all = { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" }, { ":authority", "localhost" } }
      for _, f in ipairs(extra) do
        all[#all + 1] = f
      end
      return all
    end
    local bad = {
      fields { { "X-Upper", "1" } }, fields { { "x y", "1" } }, fields { { "x:y", "1" } }, fields { { "x", "a\r\nb: c" } },
      fields { { "connection", "close" } }, fields { { "transfer-encoding", "chunked" } }, fields { { "te", "gzip" } },
      fields { { "host", "other" } }, fields { { ":path", "/2" } }, fields { { "content-length", "1" } },
      { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" } },
      { { ":method", "GET" }, { ":path", "/" }, { ":authority", "a" } },
      { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "x" }, { ":authority", "a" } },
      { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "http://b/" }, { ":authority", "a" } },
      { { ":method", "get" }, { ":scheme", "http" }, { ":path", "/" }, { ":authority", "a" } },
      { { ":method", "GET" }, { "x", "1" }, { ":scheme", "http" }, { ":path", "/" }, { ":authority", "a" } },
    }
    for i, f in ipairs(bad) do
      local id = c:request { fields = f }
      assert.equal(400, c:response(id).status, "case " .. i)
      assert.equal(PROTOCOL, c:expect("RST_STREAM", id).code)
    end
    assert.equal(200, c:get("/").status)
    assert.equal(1, #o.requests)
  end))

  it("holds a body against its Content-Length", run(function()
    local o = origin.start()
    local c = h2.connect(gate(o).port)
    for _, n in ipairs { "2", "4" } do
      local id = c:request { method = "POST", headers = { { "content-length", n } }, body = "abc" }
      assert.equal(400, c:response(id).status)
      assert.equal(PROTOCOL, c:expect("RST_STREAM", id).code)
    end
    assert.equal(200, c:call { headers = { { "content-length", "3" } }, body = "abc" }.status)
    assert.equal("abc", o:last().body)
  end))

  it("carries trailers both ways", run(function()
    local o = origin.start(function(req, res)
      res:chunked(200)
      res:chunk("abc")
      res:last { ["X-After"] = req.trailers and req.trailers:get("X-Sum") }
    end)
    local c = h2.connect(gate(o).port)
    local id = c:request { method = "POST", open = true }
    c:data(id, "body")
    c:frame(1, 5, id, h2.block { { "x-sum", "7" }, { "content-length", "9" } })
    local res = c:response(id)
    assert.equal("abc", res.body)
    assert.equal("7", res.trailers["x-after"])
  end))

  it("answers HEAD, 204 and 304 without a body", run(function()
    local o = origin.start(function(req)
      return tonumber(req.path:sub(2)), { ["Content-Length"] = req.method == "HEAD" and "5" or nil }, req.method == "HEAD" and "hello" or ""
    end)
    local c = h2.connect(gate(o).port)
    local res = c:call { method = "HEAD", path = "/200" }
    assert.equal("5", res.headers["content-length"])
    assert.equal(0, res.frames)
    assert.equal(0, c:get("/204").frames)
    assert.equal(0, c:get("/304").frames)
  end))

  it("passes interim answers and asks for a body that waits for 100", run(function()
    local o = origin.start(function(req, res)
      res:head(103, { Link = "</a>" })
      res:send(200, nil, req.body)
    end)
    local c = h2.connect(gate(o).port)
    local id = c:request { method = "POST", open = true, headers = { { "expect", "100-continue" }, { "content-length", "2" } } }
    assert.equal("100", c:expect("HEADERS", id).headers[":status"])
    c:data(id, "ok", true)
    local res = c:response(id)
    assert.same({ 103 }, res.interim)
    assert.equal("ok", res.body)
  end))

  it("serves many streams at once", run(function()
    local o = origin.start(function(req) return 200, nil, req.path end)
    local c = h2.connect(gate(o).port)
    local ids = {}
    for i = 1, 100 do
      ids[i] = c:request { path = "/" .. i }
    end
    for i = 1, 100 do
      assert.equal("/" .. i, c:response(ids[i]).body)
    end
  end))

  it("answers with texts of the request itself, each stream with its own", run(function()
    local gw = process.start([[
      gateway { listen = "127.0.0.1:0", workers = 1, http2 = true, log = { access = false } }
      site "*" {
        route "/t/*" { reply = { status = 200, body = "text of $request_uri, and again $request_uri" } },
        route "/h/*" { on = { access = function(req) return req:reply(200, "text of " .. req.path .. ", and again " .. req.path) end } },
      }
    ]])
    local c = h2.connect(gw.port)
    for _, kind in ipairs { "t", "h" } do
      local ids, bytes = {}, {}
      for i = 1, 20 do
        local id = c.next_id
        ids[i] = id
        bytes[i] = h2.frame(1, 5, id, h2.block {
          { ":method", "GET" }, { ":scheme", "http" }, { ":path", ("/%s/%d"):format(kind, i) }, { ":authority", "a" } })
        c.next_id = id + 2
      end
      c.c:send(table.concat(bytes)) -- all in one read of the gateway's
      for i, id in ipairs(ids) do
        local path = ("/%s/%d"):format(kind, i)
        assert.equal(("text of %s, and again %s"):format(path, path), c:response(id).body)
      end
    end
  end))

  it("refuses streams beyond the limit", run(function()
    local o = origin.start(function(_, res) res:wait(origin.gate()) end)
    local c = h2.connect(start.proxy(o.port, "http2 = { streams = 2 }").port)
    assert.equal(2, c.settings[3])
    c:request {}
    c:request {}
    local third = c:request {}
    assert.equal(REFUSED, c:expect("RST_STREAM", third).code)
  end))

  it("passes large bodies, as windows allow", run(function()
    local big = ("0123456789abcdef"):rep(40000)
    local o = origin.start(function(req) return 200, nil, req.body end)
    local c = h2.connect(gate(o).port)
    local id = c:request { method = "POST", open = true }
    local sent, room, all = 0, 65535, 65535
    while sent < #big do
      local n = math.min(16384, #big - sent, room, all)
      if n > 0 then
        c:data(id, big:sub(sent + 1, sent + n), sent + n == #big)
        sent, room, all = sent + n, room - n, all - n
      else
        local f = c:expect("WINDOW_UPDATE")
        room, all = room + (f.id == id and f.more or 0), all + (f.id == 0 and f.more or 0)
      end
    end
    for _, f in ipairs(c.kept) do
      assert.not_equal("RST_STREAM", f.type)
    end
    local res = c:response(id)
    assert.is_true(res.body == big)
  end))

  it("takes no more of a body than somebody reads", run(function()
    local o = origin.start(function(_, res) res:wait(origin.gate()) end, { lazy = true })
    local c = h2.connect(gate(o, "body_limit = false").port)
    local id = c:request { method = "POST", open = true }
    local total, room = 0, 65535
    c.c.sock:settimeout(0.5)
    while room > 0 or total < 32 * 1024 * 1024 do
      if room > 0 then
        local n = math.min(room, 16384)
        c:data(id, ("x"):rep(n))
        total, room = total + n, room - n
      else
        local f = c:expect("WINDOW_UPDATE", id)
        if not f then
          break
        end
        room = room + f.more
      end
    end
    assert.is_true(total < 16 * 1024 * 1024, "took " .. total)
  end))

  it("resets a stream whose client opens no window", run(function()
    local o = origin.start(function() return 200, nil, ("x"):rep(200000) end)
    local c = h2.connect(gate(o, 'client = { send = "100ms" }').port, { slow = true })
    local res = c:response(c:request {})
    assert.equal(CANCEL, res.reset)
    assert.equal(65535, #res.body)
    assert.equal(200, c:call { method = "HEAD" }.status)
  end))

  it("cuts a broken answer with a reset", run(function()
    local o = origin.start(function(_, res)
      res:head(200, { ["Content-Length"] = "100" })
      res:raw("part")
      res:cut()
    end)
    local res = h2.connect(gate(o).port):get("/")
    assert.equal("part", res.body)
    assert.is_truthy(res.reset)
  end))
end)

describe("an HTTP/2 client that asks for too much", function()
  local function calmed(c)
    local f = c:expect("GOAWAY")
    return f and f.code
  end

  it("opens and resets streams: no request of them, then the end", run(function()
    local o = origin.start()
    local gw = gate(o)
    local c = h2.connect(gw.port)
    local burst = {}
    for i = 1, 300 do
      local id = 2 * i - 1
      burst[#burst + 1] = h2.frame(1, 5, id,
        h2.block { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" }, { ":authority", "a" } })
      burst[#burst + 1] = h2.frame(3, 0, id, h2.u32(CANCEL))
    end
    c.c:send(table.concat(burst))
    assert.equal(CALM, calmed(c))
    assert.is_true(#o.requests <= 2, #o.requests .. " reached the origin")
    assert.equal(200, h2.connect(gw.port):get("/").status)
  end))

  local floods = {
    PING = function() return h2.frame(6, 0, 0, "12345678") end,
    SETTINGS = function() return h2.frame(4, 0, 0, "") end,
    PRIORITY = function() return h2.frame(2, 0, 1, h2.u32(0) .. "\0") end,
    WINDOW_UPDATE = function() return h2.frame(8, 0, 0, h2.u32(1)) end,
    unknown = function() return h2.frame(0x77, 0, 0, "") end,
  }
  for name, make in pairs(floods) do
    it("floods with " .. name, run(function()
      local c = h2.connect(gate(origin.start()).port)
      c.c:send(make():rep(3000))
      assert.equal(CALM, calmed(c))
    end))
  end

  it("floods with empty DATA", run(function()
    local c = h2.connect(gate(origin.start()).port)
    local id = c:request { method = "POST", open = true }
    c.c:send(h2.frame(0, 0, id, ""):rep(1000))
    assert.equal(CALM, calmed(c))
  end))

  it("floods with CONTINUATION", run(function()
    local c = h2.connect(gate(origin.start()).port)
    c:frame(1, 1, 1, h2.block { { ":method", "GET" } })
    c.c:send(h2.frame(9, 0, 1, h2.block { { "x", "y" } }):rep(1000))
    assert.is_truthy(calmed(c))
  end))

  it("sends a head that is too large, or far too large", run(function()
    local c = h2.connect(gate(origin.start()).port)
    local fields = {}
    for i = 1, 120 do
      fields[i] = { "x-" .. i, "1" }
    end
    assert.equal(431, c:get("/", fields).status)
    local block = h2.block { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" }, { ":authority", "a" } }
      .. "\64\1x" .. "\127" .. string.char(0x80 + 3873 % 128, math.floor(3873 / 128)) .. ("v"):rep(4000) -- 4000 bytes, indexed
      .. ("\190"):rep(200)
    c:frame(1, 5, 3, block)
    assert.equal(CALM, calmed(c))
  end))

  it("asks more often than the listener allows on one connection", run(function()
    local c = h2.connect(gate(origin.start(), "", "client = { requests = 3 },").port)
    for _ = 1, 3 do
      assert.equal(200, c:get("/").status)
    end
    local f = c.goaway or c:expect("GOAWAY")
    assert.equal(0, f.code)
    assert.equal(5, f.last_id)
  end))
end)

describe("the end of an HTTP/2 connection", function()
  it("is announced twice, and requests under way are answered", run(function()
    local door = origin.gate()
    local o = origin.start(function(_, res)
      res:wait(door)
      return 200, nil, "late"
    end)
    local gw = gate(o)
    local c = h2.connect(gw.port)
    local id = c:request {}
    wait.till(function() return #o.requests == 1 end)
    gw:signal("QUIT")
    assert.equal(0x7fffffff, c:expect("GOAWAY").last_id)
    assert.equal(id, c:expect("GOAWAY").last_id)
    door.open()
    assert.equal("late", c:response(id).body)
    assert.is_true(c.c:is_closed())
  end))

  it("comes when nothing was asked for a while", run(function()
    local c = h2.connect(gate(origin.start(), 'timeouts = { idle = "100ms" }').port)
    assert.equal(200, c:get("/").status)
    assert.equal(0, c:expect("GOAWAY").code)
    assert.is_true(c.c:is_closed())
  end))
end)

describe("WebSocket over HTTP/2 (RFC 8441)", function()
  it("is a tunnel to an upgrade", run(function()
    local o = origin.start(function(req, res)
      assert(req.headers:get("Upgrade") == "websocket" and #req.headers:get("Sec-WebSocket-Key") == 24)
      res:head(101, { Upgrade = "websocket", Connection = "Upgrade" })
      res:raw("echo " .. res.sock:read(4))
      res:cut()
    end)
    local c = h2.connect(gate(o).port)
    assert.equal(1, c.settings[8])
    local id = c:request { open = true, fields = { { ":method", "CONNECT" }, { ":protocol", "websocket" }, { ":scheme", "http" },
      { ":path", "/chat" }, { ":authority", "localhost" }, { "sec-websocket-version", "13" } } }
    local f = c:expect("HEADERS", id)
    assert.equal("200", f.headers[":status"])
    assert.is_nil(f.headers.upgrade)
    c:data(id, "ping")
    assert.equal("echo ping", c:response(id).body)
  end))

  it("is refused as the origin refuses, never by accident accepted", run(function()
    local o = origin.start(function(req) return req.path == "/no" and 403 or 200, nil, "x" end)
    local c = h2.connect(gate(o).port)
    local function connect(path)
      return c:response(c:request { open = true, fields = { { ":method", "CONNECT" }, { ":protocol", "websocket" }, { ":scheme", "http" },
        { ":path", path }, { ":authority", "localhost" } } })
    end
    assert.equal(403, connect("/no").status)
    assert.equal(502, connect("/yes").status)
    assert.equal(400, c:call { fields = { { ":method", "CONNECT" }, { ":authority", "a:1" } } }.status)
  end))
end)

--- Connections of hooks: mg.socket.tcp() against servers of this process.
local cqueues = require("cqueues")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local socket = require("cqueues.socket")
local wait = require("spec.support.wait")

--- A server that hands each connection to `serve`; returns its port.
local function listen(serve)
  local server = socket.listen { host = "127.0.0.1", port = 0 }
  server:onerror(function(_, _, why) return why end)
  assert(server:listen())
  local _, _, port = server:localname()
  local fd, open = server:pollfd(), true
  run.defer(function()
    open = false
    cqueues.cancel(fd)
    server:close()
  end)
  run.spawn(function()
    while open do
      cqueues.poll { pollfd = fd, events = "r" }
      local conn = open and server:accept({ nodelay = true }, 0)
      if conn then
        conn:setmode("bn", "bn")
        conn:onerror(function(_, _, why) return why end)
        run.spawn(function()
          serve(conn)
          conn:close()
        end)
      end
    end
  end)
  return port
end

--- A gateway whose access hook on "/" is `body` (sees req, sock, port) and answers what it returns.
local function hook(port, body)
  return gateway.start(([[
    gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
    local function show(...)
      local out = {}
      for i = 1, select("#", ...) do out[i] = tostring((select(i, ...))) end
      return table.concat(out, "|")
    end
    local port = %d
    site "*" { route "/" { on = { access = function(req)
      local sock = mg.socket.tcp()
      return req:reply(200, (function() %s end)())
    end } } }
  ]]):format(port, body))
end

describe("mg.socket", function()
  it("sends, and receives lines, counted bytes and the rest", run(function()
    local port = listen(function(conn)
      assert(conn:read("*L") == "hello\r\n")
      conn:write("line one\r\nline two\n", "12345", "and the rest")
      conn:flush()
    end)
    local gw = hook(port, [[
      assert(sock:connect("127.0.0.1", port))
      local n = sock:send { "hel", "lo\r\n" }
      return show(n, sock:receive(), sock:receive("*l"), sock:receive(5), sock:receive("*a"))
    ]])
    -- every call but the last gives one value
    assert.equal("7|line one|line two|12345|and the rest", client.get(gw.port, "/").body)
  end))

  it("says closed, with what came before, when the peer ends early", run(function()
    local port = listen(function(conn)
      conn:write("abc")
      conn:flush()
    end)
    local gw = hook(port, [[
      assert(sock:connect("127.0.0.1", port))
      local data, err, part = sock:receive(10)
      return show(data, err, part, sock:receive())
    ]])
    assert.equal("nil|closed|abc|nil|closed|", client.get(gw.port, "/").body)
  end))

  it("times out, keeps the connection and goes on later", run(function()
    local port = listen(function(conn)
      conn:write("ab")
      conn:flush()
      assert(conn:read("*L"))
      conn:write("cd\n")
      conn:flush()
    end)
    local gw = hook(port, [[
      sock:timeouts(2, 2, 0.05)
      assert(sock:connect("127.0.0.1", port))
      local _, err, part = sock:receive("*l")
      sock:send("go\n")
      sock:timeouts(2)
      return show(err, part, (sock:receive("*l")))
    ]])
    assert.equal("timeout|ab|cd", client.get(gw.port, "/").body)
  end))

  it("refuses and resolves with a reason", run(function()
    local gw = hook(1, [[
      local ok, err = sock:connect("127.0.0.1", port)
      return show(ok, err, mg.socket.tcp():connect("localhost", port))
    ]])
    assert.equal("nil|connection refused|nil|connection refused", client.get(gw.port, "/").body)
  end))

  it("reuses a connection that was kept alive", run(function()
    local accepted = 0
    local port = listen(function(conn)
      accepted = accepted + 1
      for line in conn:lines("*L") do
        conn:write(line)
        conn:flush()
      end
    end)
    local gw = hook(port, [[
      assert(sock:connect("127.0.0.1", port))
      sock:send("x\n")
      assert(sock:receive() == "x")
      local times = sock:reused()
      return show(times, sock:keepalive(10, 4), sock:send("y"))
    ]])
    for i = 0, 3 do
      assert.equal(i .. "|true|nil|closed", client.get(gw.port, "/").body)
    end
    assert.equal(1, accepted)
  end))

  it("does not park a connection with unread bytes", run(function()
    local port = listen(function(conn)
      conn:write("more\nthan asked\n")
      conn:flush()
      conn:read("*L")
    end)
    local gw = hook(port, [[
      assert(sock:connect("127.0.0.1", port))
      sock:receive()
      return show(sock:keepalive())
    ]])
    assert.equal("nil|bytes are pending: the connection was closed", client.get(gw.port, "/").body)
  end))

  it("lets one task read while another writes, and refuses a second reader", run(function()
    local port = listen(function(conn)
      local n = 0
      while n < 4000000 do
        local piece = conn:read(-65536)
        if not piece then return end
        n = n + #piece
      end
      conn:write("got " .. n .. "\n")
      conn:flush()
    end)
    local gw = hook(port, [[
      assert(sock:connect("127.0.0.1", port))
      local reader = mg.spawn(function() return sock:receive() end)
      mg.sleep(0)
      local sent = sock:send(("x"):rep(4000000))
      local _, busy = sock:receive()
      local _, line = reader:wait()
      return show(sent, busy, line)
    ]])
    assert.equal("4000000|socket busy reading|got 4000000", client.get(gw.port, "/").body)
  end))

  it("ends with its request when the client leaves", run(function()
    local here, ended = false, false
    local port = listen(function(conn)
      here = conn:read("*L") ~= nil
      conn:read("*L")
      ended = true
    end)
    local gw = hook(port, [[
      assert(sock:connect("127.0.0.1", port))
      sock:send("here\n")
      return show(sock:receive())
    ]])
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    wait.till(function() return here end)
    c:close()
    wait.till(function() return ended end)
  end))

  it("cannot wait inside a coroutine of the policy's own, and says so", run(function()
    local port = listen(function(conn) conn:read("*L") end)
    local gw = gateway.start([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" { use = { policy "own" {} } }
    ]], { files = { ["scripts/own.lua"] = ([[
      local mg = require "moongate"
      return mg.policy { name = "own", doc = "Waits where it cannot.", options = mg.schema.record {}, new = function()
        return { access = function(req)
          local sock = mg.socket.tcp()
          assert(sock:connect("127.0.0.1", %d))
          local _, err = coroutine.resume(coroutine.create(function() return sock:receive() end))
          return req:reply(200, tostring(err):match("cannot wait inside a coroutine") .. "|" .. tostring(select(2, sock:receive())))
        end }
      end }
    ]]):format(port) } })
    assert.equal("cannot wait inside a coroutine|closed", client.get(gw.port, "/").body)
  end))
end)

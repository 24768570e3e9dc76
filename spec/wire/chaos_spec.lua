--- Everything at once: origins and clients that misbehave at random while others ask properly. What must
--- hold: no worker dies, no sanitizer speaks, afterwards every request is answered, and a graceful stop
--- finds nothing left behind. MG_CHAOS_SEED and MG_CHAOS_SECONDS make a longer or another run.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local cqueues = require("cqueues")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local wait = require("spec.support.wait")

local seconds = tonumber(os.getenv("MG_CHAOS_SECONDS") or 4)
local random = math.random
local big = ("0123456789abcdef"):rep(20000)

local function part(limit)
  return big:sub(1, random(limit or #big))
end

local function pause()
  cqueues.poll(random() < 0.5 and 0 or random() * 0.03)
end

--- Ends a connection in one of two ways.
local function finish(res)
  pause()
  if random() < 0.5 then
    res:cut()
  else
    res:reset()
  end
end

local answers = {
  finish,
  function(res) res:raw("HTTP/1.1 200 O") finish(res) end,
  function(res) res:raw("garbage\r\n\r\n") finish(res) end,
  function(res) res:raw("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc") finish(res) end,
  function(res) res:chunked(200) res:chunk("abc") pause() res:raw("5\r\nab") finish(res) end,
  function(res) res:chunked(200) res:chunk("abc") pause() res:raw("zz\r\n") finish(res) end,
  function(res) res:head(200) res:raw(part()) finish(res) end,
  function(res) res:hang(0.3) end,
  function(res) res:raw("HTTP/1.1 103 Early\r\nLink: a\r\n\r\n") pause() res:send(200, nil, "x") end,
  function(res) res:send(200, nil, part()) end,
  function(res) res:send(204) end,
  function(res) res:raw("HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n") end,
  function(res) res:send(503, nil, "busy") end,
  function(res) res:raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiEXTRA") end,
  function(res) res:send(413, { Connection = "close" }, "no") res:cut() end,
  function(res)
    res:chunked(200)
    for _ = 1, random(20) do
      res:chunk(part(20000))
    end
    res:last({ ["X-T"] = "1" })
  end,
  function(res)
    res:raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello")
    res:raw(part())
    finish(res)
  end,
}

local function get(path, fields)
  return ("GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n"):format(path, fields or "")
end

local function post(path, body, fields)
  return ("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n%s\r\n%s"):format(path, #body, fields or "", body)
end

local questions = {
  function() return get("/" .. random(9)) end,
  function() return "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" end,
  function() return "GET / HTTP/1.0\r\n\r\n" end,
  function() return "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" end,
  function() return post("/", part(200000)) end,
  function() return post("/", "hello", "Expect: 100-continue\r\n") end,
  function() return get("/ws", "Upgrade: websocket\r\nConnection: Upgrade\r\n") .. part(90000) end,
  function() return get("/bad%") end,
  function() return get("/", "Content-Length: x\r\n") end,
  function() return get("/sleep") end,
  function() return get("/hookbody") end,
  function() return post("/hookread", part(60000)) end,
  function() return get("/held") end,
  function() return post("/held", part(90000)) end,
  function() return get("/nobuf") end,
  function() return get("/dead") end,
  function() return get("/reply") end,
  function()
    local parts = { "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" }
    for i = 1, random(20) do
      local data = part(5000)
      parts[i + 1] = ("%x\r\n%s\r\n"):format(#data, data)
    end
    return table.concat(parts) .. (random() < 0.1 and "x\r\n" or "0\r\nA: b\r\n\r\n")
  end,
}

local config = [[
  gateway { listen = { "127.0.0.1:0", "127.0.0.2:0 tls" }, workers = 1, http_redirect = false,
    log = { access = "-", level = "info" } }
  local b = upstream "b" { "127.0.0.1:%d", "127.0.0.1:%d", balance = "round_robin", retry_budget = false,
    health = { passive = false } }
  site "*" { tls = %q, proxy = b, body_limit = "100k",
    timeouts = { read = "250ms", send = "250ms", connect = "250ms" },
    client = { body = "300ms", send = "300ms", header = "300ms" },
    buffer = { memory = "32k", file = "300k" }, retry = { tries = 3, on = { "timeout", 503 } },
    websocket = { idle = "300ms" },
    route "/sleep" { on = { access = function() mg.sleep(0.03) end, header = function() mg.sleep(0.02) end,
      log = function() mg.sleep(0.01) end } },
    route "/hookbody" { on = { body = function(req, chunk) if chunk then return (chunk:gsub("0", "OO")) end end } },
    route "/hookread" { on = { access = function(req) if #(req:body() or "") > 10 then req:set_body("short") end end } },
    route "/held" { buffer_request = { memory = "8k" }, buffer = { hold = true } },
    route "/nobuf" { buffer = false },
    route "/dead" { proxy = "http://127.0.0.1:%d" },
    route "/reply" { reply = { status = 200, body = "here" } },
  }
]]

--- Sends something and leaves or listens. False: the connection is over.
local function misbehave(c)
  local bytes = {}
  for i = 1, random() < 0.2 and random(5) or 1 do
    bytes[i] = questions[random(#questions)]()
  end
  local text = table.concat(bytes)
  c:send(random() < 0.15 and text:sub(1, random(#text)) or text)
  local how = random()
  if how < 0.3 then
    pause()
    c[how < 0.15 and "reset" or "close"](c)
    return false
  elseif how < 0.4 then
    c:shutdown()
    return true
  end
  c.sock:settimeout(0.3)
  return how < 0.6 and c:some() ~= nil or c:response({ may_fail = true }) ~= nil
end

local function visitor(gw, stop)
  while wait.now() < stop and not gw:has_ended() do
    local tls = random() < 0.25
    local c = client.connect(tls and "127.0.0.2:" .. gw.ports[2] or gw.port,
      { may_fail = true, timeout = 2, tls = tls or nil })
    for _ = 1, c and random(4) or 0 do
      local ok, goes_on = pcall(misbehave, c)
      if not (ok and goes_on) then
        break
      end
    end
    if c then
      c:close()
    end
  end
end

local function start_chaos()
  local function handler(_, res)
    answers[random(#answers)](res)
  end
  local o, lazy = origin.start(handler), origin.start(handler, { lazy = true })
  return gateway.start(config:format(o.port, lazy.port, certs.make().dir, origin.dead_port())), o, lazy
end

describe("chaos", function()
  it("leaves a gateway that answers and stops", run(function()
    math.randomseed(tonumber(os.getenv("MG_CHAOS_SEED") or 1))
    local gw, o, lazy = start_chaos()
    local stop, busy = wait.now() + seconds, 16
    for _ = 1, busy do
      run.spawn(function()
        visitor(gw, stop)
        busy = busy - 1
      end)
    end
    wait.till(function() return busy == 0 end, "the visitors to leave", seconds + 10)
    for _, each in ipairs({ o, lazy }) do
      each:handle(function(_, res) res:send(200, nil, "fine") end)
    end
    for _ = 1, 6 do
      assert.equal("fine", client.get(gw.port, "/").body)
    end
    assert.is_nil(gw:stderr():match("[^\n]* alert [^\n]*"))
    local from = wait.now()
    assert.equal(0, gw:stop("QUIT"))
    assert.is_true(wait.now() - from < run.scaled(3))
  end))
end)

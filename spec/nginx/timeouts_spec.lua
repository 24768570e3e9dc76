--- Clients that are too slow with what they ask: nginx's dialect closes without an answer and logs a 408.
local client = require("spec.support.client")
local h2 = require("spec.support.h2")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local function slow(http)
  return start(([[
    log_format l '$status $bytes_sent "$request"';
    server {
      listen 127.0.0.1:0; http2 on; access_log a.log l; client_header_timeout 200ms; client_body_timeout 200ms;
      error_page 408 /late; location = /late { return 200 "late"; }
      %s
    }]]):format(http), { args = { "-p", "{dir}/", "-c", "nginx.conf" } })
end

local function logged(gw, line)
  wait.till(function()
    return (tmp.read(gw.dir .. "/a.log") or ""):find(line, 1, true)
  end, line)
end

describe("a client that is too slow, in nginx syntax:", function()
  it("with its head it is closed without a word", run(function()
    local gw = slow("location / { return 200 x; }")
    for _, part in ipairs { "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\nX" } do
      local c = client.connect(gw.port)
      c:send(part)
      assert.equal("", (c:rest()))
    end
    logged(gw, '408 0 "-"')
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT")
    assert.equal(200, c:response().status)
    assert.equal("", (c:rest()))
  end))

  it("with its body likewise, held back or passed on", run(function()
    local o = origin.start() -- answers when it has the body
    local gw = slow(([[
      location / { proxy_pass http://127.0.0.1:%d; }
      location /now { proxy_pass http://127.0.0.1:%d; proxy_request_buffering off; } ]]):format(o.port, o.port))
    for _, path in ipairs { "/held", "/now" } do
      local c = client.connect(gw.port)
      c:send("POST " .. path .. " HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
      assert.equal("", (c:rest()))
      logged(gw, ('408 0 "POST %s HTTP/1.1"'):format(path))
    end
  end))

  it("with a header block of HTTP/2 its stream is reset, and the session goes on", run(function()
    local gw = slow("location / { return 200 x; }")
    local frame = h2.frame(1, 5, 1, h2.block { { ":method", "GET" }, { ":scheme", "http" }, { ":path", "/" }, { ":authority", "a" } })
    local open = frame:sub(1, 4) .. "\1" .. frame:sub(6) -- without END_HEADERS
    for _, parts in ipairs { { frame:sub(1, 12), frame:sub(13) }, { frame:sub(1, 40), frame:sub(41) }, { open, h2.frame(9, 4, 1, "") } } do
      local c = h2.connect(gw.port)
      c.c:send(parts[1])
      local reset = c:expect("RST_STREAM", 1)
      assert.equal(1, reset and reset.code) -- PROTOCOL_ERROR
      c.c:send(parts[2])
      c:frame(6, 0, 0, "12345678")
      assert.is_table(c:expect("PING"))
      c.next_id = 3
      assert.equal("x", c:get("/").body)
    end
  end))

  it("with the body of a stream it is the stream that ends", run(function()
    local o = origin.start(nil, { lazy = true })
    local gw = slow(("location / { proxy_pass http://127.0.0.1:%d; }"):format(o.port))
    local c = h2.connect(gw.port)
    local id = c:request { method = "POST", path = "/x", open = true }
    c:data(id, "abc")
    local reset = c:expect("RST_STREAM", id)
    assert.equal(1, reset and reset.code)
    local other = c:request { path = "/late" }
    assert.equal("late", c:response(other).body)
  end))
end)

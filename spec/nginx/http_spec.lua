--- Heads and connections in nginx syntax: what is refused, what is measured, what is logged when.
local client = require("spec.support.client")
local h2 = require("spec.support.h2")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")
local tmp = require("spec.support.tmp")

local function raw(gw, text)
  local c = client.connect(gw.port)
  c:send(text)
  return c:response(), c
end

describe("nginx syntax", function()
  it("closes after TRACE and CONNECT, and tells a CONNECT that is malformed", run(function()
    local gw = start("server { listen 127.0.0.1:0; return 200; }")
    for line, status in pairs { ["TRACE /"] = 405, ["CONNECT a:80"] = 405, ["CONNECT /"] = 400, ["CONNECT a"] = 400 } do
      local res, c = raw(gw, line .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal(status, res.status, line)
      assert.is_true(c:is_closed())
    end
  end))

  it("refuses two of a field that may stand once, lists included", run(function()
    local gw = start("server { listen 127.0.0.1:0; location / { add_header X-Type $content_type; return 200; } }")
    for _, name in ipairs { "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Content-Range",
      "Authorization", "Expect" } do
      local res = raw(gw, ("GET / HTTP/1.1\r\nHost: a\r\n%s: x\r\n%s: y\r\n\r\n"):format(name, name))
      assert.equal(400, res.status, name)
    end
    assert.equal(200, raw(gw, "GET / HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\nAuthorization: x\r\n\r\n").status)
    local res = raw(gw, "GET / HTTP/1.1\r\nHost: a\r\nContent-Type: x\r\nContent-Type: y\r\n\r\n")
    assert.equal("x, y", res.headers:get("X-Type"))
  end))

  it("takes two of them natively where they are lists", run(function()
    local o = origin.start()
    local gw = require("spec.wire.start").proxy(o.port)
    assert.equal(200, raw(gw, "GET / HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\nIf-Match: \"y\"\r\n\r\n").status)
  end))

  it("has logged a request when its connection ends", run(function()
    local dir = tmp.dir()
    local gw = start(([[log_format l '$uri $body_bytes_sent';
      server { listen 127.0.0.1:0; access_log %s/log l; return 200 text; }]]):format(dir))
    for i = 1, 20 do
      local c = client.connect(gw.port)
      c:send("GET /" .. i .. " HTTP/1.0\r\n\r\n")
      c:rest()
      local lines = assert(io.open(dir .. "/log")):read("*a")
      assert.is_truthy(lines:find("/" .. i .. " 4\n", 1, true), lines)
    end
  end))
end)

describe("HTTP/2 in nginx syntax", function()
  it("counts the bytes of heads as they came", run(function()
    local gw = start("server { listen 127.0.0.1:0; http2 on; return 200 $request_length; }")
    local c = h2.connect(gw.port)
    local first = tonumber(c:get("/").body)
    local longer = tonumber(c:get("/", { { "x-a", ("b"):rep(50) } }).body)
    assert.is_true(first > 4 and first < 100)
    assert.is_true(longer >= first + 30 and longer < first + 80)
  end))

  it("makes frames as long as the client takes and http2_chunk_size says", run(function()
    local dir = tmp.dir()
    tmp.write(dir, "f", ("x"):rep(60000))
    local gw = start(([[server { listen 127.0.0.1:0; http2 on; root %s; http2_chunk_size 64k;
      location /one { http2_chunk_size 1; return 200 body; } }]]):format(dir))
    local function frames(path, settings)
      return h2.connect(gw.port, { settings = settings }):get(path).frames
    end
    assert.equal(4, frames("/one"))
    assert.equal(4, frames("/f"))
    assert.equal(2, frames("/f", "\0\5\0\0\128\0"))
  end))

  it("takes no PUSH_PROMISE of a client", run(function()
    local gw = start("server { listen 127.0.0.1:0; http2 on; return 200; }")
    local c = h2.connect(gw.port)
    c:frame(5, 4, 1, "\0\0\0\2")
    assert.equal(1, c:expect("GOAWAY").code)
  end))
end)

describe("a switch of protocols that nobody asked for", function()
  it("is passed without what follows it, and both connections end", run(function()
    local o = origin.start(function(_, res)
      res:raw("HTTP/1.1 101 Switching\r\nUpgrade: foo\r\nConnection: Upgrade\r\n\r\n"
        .. "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
      res:hang()
    end)
    local gw = start(([[server { listen 127.0.0.1:0; http2 on;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection Upgrade;
      location / { proxy_pass http://127.0.0.1:%d; } }]]):format(o.port))
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n")
    local all = c:rest()
    assert.is_truthy(all:find("^HTTP/1.1 101 "))
    assert.is_nil(all:find("evil", 1, true))
    assert.equal(1, select(2, all:gsub("HTTP/1.1", "")))
    assert.equal(1, #o.requests)
    assert.equal(502, h2.connect(gw.port):get("/").status)
    c = client.connect(gw.port)
    c:send("GET / HTTP/1.0\r\n\r\n")
    assert.equal(502, c:response().status)
  end))
end)

describe("X-Accel-Limit-Rate", function()
  it("holds after an internal redirect too", run(function()
    local dir = tmp.dir()
    tmp.write(dir, "f", ("x"):rep(3000))
    local o = origin.start(function(req)
      local fields = { ["X-Accel-Redirect"] = "/f" }
      fields["X-Accel-Limit-Rate"] = req.query
      return 200, fields, ""
    end)
    local gw = start(([[server { listen 127.0.0.1:0; root %s; location /go { proxy_pass http://127.0.0.1:%d; } }]]):format(dir, o.port))
    local function seconds(target)
      local began = require("cqueues").monotime()
      assert.equal(3000, #client.get(gw.port, target).body)
      return require("cqueues").monotime() - began
    end
    assert.is_true(seconds("/go?2000") > 0.3)
    assert.is_true(seconds("/go") < 0.3)
  end))
end)

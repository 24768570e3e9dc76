--- Heads and connections in nginx syntax: what is refused, what is measured, what is logged when.
local client = require("spec.support.client")
local h2 = require("spec.support.h2")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

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

  it("forgets the fragment of a target, which nobody should send", run(function()
    local o = origin.start()
    local gw = start(([[server { listen 127.0.0.1:0; add_header X-Uri $uri;
      location / { proxy_pass http://127.0.0.1:%d; } }]]):format(o.port))
    assert.equal("/b/", raw(gw, "GET /a/../b/.#x?y HTTP/1.1\r\nHost: a\r\n\r\n").headers:get("X-Uri"))
    assert.is_nil(o:last().target:find("#", 1, true))
    assert.equal(400, raw(require("spec.wire.start").proxy(o.port), "GET /a#x HTTP/1.1\r\nHost: a\r\n\r\n").status)
  end))

  it("takes an address of the future for a host", run(function()
    local gw = start("server { listen 127.0.0.1:0; return 200 $host; }")
    for host, want in pairs {
      ["[v1.aB:~]"] = "[v1.ab:~]", ["[v1F.x]:80"] = "[v1f.x]", ["[v.x]"] = 400, ["[v1.]"] = 400, ["[vg.x]"] = 400, ["[v1.a b]"] = 400,
      ["[v1.a/]"] = 400,
    } do
      local res = raw(gw, "GET / HTTP/1.1\r\nHost: " .. host .. "\r\n\r\n")
      assert.equal(want, res.status == 200 and res.body or res.status, host)
    end
  end))

  it("refuses a malformed body that it would not have read", run(function()
    local gw = start("server { listen 127.0.0.1:0; return 200; }")
    local head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert.equal(400, raw(gw, head .. "2\r\nabcd\r\n0\r\n\r\n").status)
    local res, c = raw(gw, head .. "2\r\nab\r\n0\r\n\r\n")
    assert.equal(200, res.status)
    assert.equal(200, c:get("/").status)
  end))

  it("refreshes where Internet Explorer would be redirected", run(function()
    local gw = start([[msie_refresh on; server { listen 127.0.0.1:0; location / { return 302 "/a\" b"; }
      location /off { msie_refresh off; return 301 /x; } }]])
    local res = client.get(gw.port, "/", { ["User-Agent"] = "Mozilla (MSIE 6.0)" })
    assert.equal(200, res.status)
    assert.is_nil(res.headers:get("Location"))
    assert.is_truthy(res.body:find('0; URL=http://localhost:' .. gw.port .. '/a%22%20b"', 1, true), res.body)
    assert.equal(302, client.get(gw.port, "/").status)
    assert.equal(301, client.get(gw.port, "/off", { ["User-Agent"] = "MSIE 6.0" }).status)
  end))

  it("asks what post_action says when a request is over, and drops the answer", run(function()
    local o = origin.start()
    local gw = start(([[server { listen 127.0.0.1:0; location / { post_action /after; return 200 now; }
      location /after { internal; post_action /never; proxy_pass http://127.0.0.1:%d; } }]]):format(o.port))
    assert.equal("now", client.get(gw.port, "/x?y").body)
    wait.till(function()
      return #o.requests == 1
    end)
    assert.equal("/after", o:last().target)
  end))

  it("adds up the words of directives that are masks or lists of words", run(function()
    local o = origin.start(function(_, res)
      res:send(502)
    end)
    local good = origin.start(function()
      return 200, { ["X-Accel-Redirect"] = "/nowhere", ["X-Accel-Limit-Rate"] = "1" }, "good"
    end)
    local gw = start(([[upstream u { server 127.0.0.1:%d; server 127.0.0.1:%d backup; }
      server { listen 127.0.0.1:0; location / { proxy_pass http://u; proxy_next_upstream error; proxy_next_upstream timeout http_502;
        proxy_ignore_headers X-Accel-Redirect; proxy_ignore_headers X-Accel-Limit-Rate; } }]]):format(o.port, good.port))
    assert.equal("good", client.get(gw.port, "/").body)
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

  it("sends answers made of variables as they were made, though their requests are over", run(function()
    local gw = start("server { listen 127.0.0.1:0; http2 on; large_client_header_buffers 4 16k; return 200 $arg_x$arg_x; }")
    local c = h2.connect(gw.port)
    for _ = 1, 5 do
      local ids = {}
      for i = 1, 20 do
        ids[i] = c:request { path = "/?x=" .. ("%02d"):format(i):rep(500) }
      end
      for i = 1, 20 do
        assert.equal(("%02d"):format(i):rep(1000), c:response(ids[i]).body)
      end
    end
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

  it("holds heads to lines and buffers, and to a number of fields that gets an answer", run(function()
    local gw = start([[server { listen 127.0.0.1:0; http2 on; large_client_header_buffers 2 400; max_headers 3; return 200; }]])
    local function get(...)
      return h2.connect(gw.port):get("/", { ... })
    end
    assert.equal(200, get({ "x-a", ("b"):rep(400) }).status)
    assert.equal(11, get({ "x-a", ("b"):rep(401) }).goaway.code)
    assert.equal(11, get({ "x-a", ("b"):rep(390) }, { "x-b", ("b"):rep(390) }).goaway.code)
    assert.equal(200, get({ "x-a", "1" }, { "x-b", "2" }, { "x-c", "3" }).status)
    assert.equal(400, get({ "x-a", "1" }, { "x-b", "2" }, { "x-c", "3" }, { "x-d", "4" }).status)
  end))

  it("ends a connection that is old, or had its requests", run(function()
    local gw = start([[server { listen 127.0.0.1:0; http2 on; location / { return 200; }
      location /old { keepalive_time 1ms; return 200; } location /few { keepalive_requests 2; return 200; } }]])
    local c = h2.connect(gw.port)
    assert.equal(200, c:get("/").status)
    wait.till(function()
      c:get("/old")
      return c.goaway
    end)
    assert.equal(0, c.goaway.code)
    c = h2.connect(gw.port)
    assert.equal(200, c:get("/few").status)
    assert.is_nil(c.goaway)
    c:request { path = "/few" }
    assert.equal(3, c:expect("GOAWAY").last_id)
  end))

  it("counts a request until its answer is out", run(function()
    local dir = tmp.dir()
    tmp.write(dir, "f", "a body")
    local gw = start(([[limit_conn_zone $binary_remote_addr zone=c:1m;
      server { listen 127.0.0.1:0; http2 on; root %s; location / { limit_conn c 1; } }]]):format(dir))
    local c = h2.connect(gw.port, { settings = "\0\4\0\0\0\1", slow = true })
    local first = c:request { path = "/f" }
    c:expect("DATA", first)
    assert.equal(503, client.get(gw.port, "/f").status)
    c:frame(8, 0, first, "\0\0\0\100")
    c:response(first)
    assert.equal(200, client.get(gw.port, "/f").status)
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

describe("fields of an upstream's answer", function()
  it("can be read after what took its place: an internal redirect, an error page, another attempt", run(function()
    local o = origin.start(function(req)
      local status = req.path == "/go" and 200 or 503
      return status, { ["X-Accel-Redirect"] = "/kept", ["X-Own"] = req.query:rep(40) }, ""
    end)
    local gw = start(([[server { listen 127.0.0.1:0; proxy_intercept_errors on; error_page 503 = /kept;
      location /kept { return 200 $upstream_http_x_own; }
      location /go { proxy_pass http://127.0.0.1:%d; }
      location /page { proxy_pass http://127.0.0.1:%d; proxy_ignore_headers X-Accel-Redirect; }
      location /again { proxy_pass http://127.0.0.1:%d; proxy_next_upstream http_503; } }]]):format(o.port, o.port, o.port))
    for _, path in ipairs { "/go", "/page", "/again" } do
      for i = 10, 30 do
        local other = client.connect(gw.port)
        other:send("GET /go?zz HTTP/1.1\r\nHost: a\r\n\r\n")
        assert.equal(tostring(i):rep(40), client.get(gw.port, path .. "?" .. i).body, path)
      end
    end
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

describe("proxy_ignore_client_abort", function()
  it("lets an exchange go on without its client; else it ends with it", run(function()
    local gate = origin.gate()
    local o = origin.start(function(req, res)
      if req.path ~= "/over" then
        res:wait(gate)
      end
      res:send(200, nil, "done")
    end)
    local dir = tmp.dir()
    local gw = start(([[log_format l '$uri $status'; upstream u { server 127.0.0.1:%d; keepalive 4; }
      server { listen 127.0.0.1:0; http2 on; access_log %s/log l; proxy_set_header Connection "";
        location / { proxy_pass http://u; } location /on { proxy_pass http://u; proxy_ignore_client_abort on; } }]]):format(o.port, dir))
    local function leave(path)
      local c = client.connect(gw.port)
      c:send("GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      return c
    end
    local clients = { leave("/off"), leave("/on/1") }
    local two = h2.connect(gw.port)
    two:request { path = "/on/2" }
    wait.till(function()
      return #o.requests == 3
    end)
    for _, c in ipairs(clients) do
      c:close()
    end
    two.c:close()
    local function logged()
      return assert(io.open(dir .. "/log")):read("*a")
    end
    wait.till(function()
      return logged():find("/off 499", 1, true)
    end)
    assert.is_nil(logged():find("/on", 1, true))
    gate:open()
    wait.till(function()
      return logged():find("/on/1 200", 1, true) and logged():find("/on/2 200", 1, true)
    end)
    assert.equal(200, client.get(gw.port, "/over").status)
    assert.equal(3, o.connections) -- kept after the exchange that nobody waited for
  end))
end)

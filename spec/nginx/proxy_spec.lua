--- proxy_pass and its kin in nginx syntax, on real sockets.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")

--- $O is the origin's address.
local function serve(o, http)
  return start((http:gsub("%$O", "127.0.0.1:" .. o.port)))
end

describe("proxy_pass", function()
  it("sends the raw target when it has no URI, and cuts and escapes the path when it has", run(function()
    local o = origin.start()
    local gw = serve(o, [[server { listen 127.0.0.1:0;
      location /raw/ { proxy_pass http://$O; }
      location /api/ { proxy_pass http://$O/v2/; }
      location = /one { proxy_pass http://$O/two?x=1; } }]])
    for target, want in pairs {
      ["/raw/%61//b?q"] = "/raw/%61//b?q", ["/%61pi//x/../y%20z?q=1"] = "/v2/y%20z?q=1", ["/api/"] = "/v2/", ["/one"] = "/two?x=1",
    } do
      client.get(gw.port, target)
      assert.equal(want, o:last().target)
    end
  end))

  it("says the host of the URL unless another is set, and nothing of the connection", run(function()
    local o = origin.start()
    local gw = serve(o, [[server { listen 127.0.0.1:0;
      location /a { proxy_pass http://$O; }
      location /b { proxy_pass http://$O; proxy_set_header Host b.example; proxy_set_header Accept ""; proxy_set_header X-A $uri; } }]])
    client.get(gw.port, "/a", { Connection = "keep-alive, X-Gone", ["X-Gone"] = "1", TE = "trailers" })
    assert.equal("127.0.0.1:" .. o.port, o:last().headers:get("host"))
    assert.is_nil(o:last().headers:get("connection"))
    assert.is_nil(o:last().headers:get("te"))
    client.get(gw.port, "/b", { Accept = "text/plain" })
    assert.equal("b.example", o:last().headers:get("host"))
    assert.is_nil(o:last().headers:get("accept"))
    assert.equal("/b", o:last().headers:get("x-a"))
  end))

  it("may be made of variables: an address, and the URI as it is", run(function()
    local o = origin.start()
    local gw = serve(o, [[server { listen 127.0.0.1:0;
      location / { proxy_pass http://127.0.0.1:$arg_port; }
      location /uri { proxy_pass http://127.0.0.1:$arg_port/fixed?a=b; } }]])
    assert.equal(200, client.get(gw.port, "/x%20y?port=" .. o.port).status)
    assert.equal("/x%20y?port=" .. o.port, o:last().target)
    client.get(gw.port, "/uri?port=" .. o.port)
    assert.equal("/fixed?a=b", o:last().target)
    assert.equal(500, client.get(gw.port, "/?port=none").status)
  end))

  it("sends another method or body when asked to", run(function()
    local o = origin.start()
    local gw = serve(o, [[server { listen 127.0.0.1:0;
      location /m { proxy_pass http://$O; proxy_method PUT; }
      location /b { proxy_pass http://$O; proxy_set_body "of $uri"; }
      location /n { proxy_pass http://$O; proxy_pass_request_body off; proxy_pass_request_headers off; } }]])
    client.get(gw.port, "/m")
    assert.equal("PUT", o:last().method)
    client.call(gw.port, "POST", "/b", {}, "something longer than that")
    assert.equal("of /b", o:last().body)
    client.call(gw.port, "POST", "/n", { ["X-A"] = "1" }, "body")
    assert.is_nil(o:last().headers:get("x-a"))
    assert.is_nil(o:last().headers:get("content-length"))
  end))
end)

describe("answers of the upstream", function()
  it("lose what is hidden and keep what is passed", run(function()
    local o = origin.start(function()
      return 200, { Server = "theirs", ["X-Pad"] = "1", ["X-A"] = "a", ["X-Accel-Expires"] = "9" }, "x"
    end)
    local gw = serve(o, [[server { listen 127.0.0.1:0;
      location /a { proxy_pass http://$O; proxy_hide_header X-A; }
      location /b { proxy_pass http://$O; proxy_pass_header Server; proxy_pass_header X-Accel-Expires; } }]])
    local res = client.get(gw.port, "/a")
    assert.is_nil(res.headers:get("x-a"))
    assert.is_nil(res.headers:get("x-pad"))
    assert.is_nil(res.headers:get("x-accel-expires"))
    assert.not_equal("theirs", res.headers:get("server"))
    res = client.get(gw.port, "/b")
    assert.equal("theirs", res.headers:get("server"))
    assert.equal("9", res.headers:get("x-accel-expires"))
    assert.equal("a", res.headers:get("x-a"))
  end))

  it("have their redirects mapped back, by default and by rules", run(function()
    local o
    o = origin.start(function(req)
      local to = ("http://127.0.0.1:%d%s"):format(o.port, req.path)
      return 302, { Location = to, Refresh = "7; url=" .. to }, ""
    end)
    local gw = serve(o, [[server { listen 127.0.0.1:0;
      location /api/ { proxy_pass http://$O/new/; }
      location /off/ { proxy_pass http://$O; proxy_redirect off; }
      location /re/ { proxy_pass http://$O; proxy_redirect ~^http://[^/]+/re/(.+)$ /$1/$arg_x; } }]])
    local res = client.get(gw.port, "/api/x")
    assert.equal("/api/x", (res.headers:get("location"):gsub("^http://[^/]+", "")))
    assert.equal("7; url=/api/x", res.headers:get("refresh"))
    assert.equal(("http://127.0.0.1:%d/off/x"):format(o.port), client.get(gw.port, "/off/x").headers:get("location"))
    assert.equal("/a/b", (client.get(gw.port, "/re/a?x=b").headers:get("location"):gsub("^http://[^/]+", "")))
  end))

  it("have their cookies changed", run(function()
    local o = origin.start(function()
      return 200, { ["Set-Cookie"] = "a=b; Domain=.one.example; Path=/in/x; Secure" }, ""
    end)
    local gw = serve(o, [[server { listen 127.0.0.1:0; location / { proxy_pass http://$O;
      proxy_cookie_domain one.example two.example; proxy_cookie_path ~^/in/(.*)$ /$1;
      proxy_cookie_flags a nosecure httponly samesite=lax; } }]])
    assert.equal("a=b; Domain=.two.example; Path=/x; HttpOnly; SameSite=Lax", client.get(gw.port, "/").headers:get("set-cookie"))
  end))
end)

describe("proxy_next_upstream", function()
  local function pair(a, b, more)
    return ([[upstream u { server 127.0.0.1:%d max_fails=0; server 127.0.0.1:%d max_fails=0; }
      server { listen 127.0.0.1:0; location / { proxy_pass http://u; %s } }]]):format(a, b, more)
  end

  it("repeats listed statuses on the next server, and passes on the last one", run(function()
    local bad = origin.start(function() return 503, {}, "bad" end)
    local gw = start(pair(bad.port, bad.port, "proxy_next_upstream http_503;"))
    assert.equal(503, client.get(gw.port, "/").status)
    assert.equal(2, #bad.requests)
    bad:clear()
    client.call(gw.port, "POST", "/", {}, "x")
    assert.equal(1, #bad.requests)
  end))

  it("repeats nothing when it is off", run(function()
    local good = origin.start()
    local gw = start(pair(origin.dead_port(), good.port, "proxy_next_upstream off;"))
    local seen = {}
    for _ = 1, 2 do
      seen[client.get(gw.port, "/").status] = true
    end
    assert.same({ [200] = true, [502] = true }, seen)
  end))

  it("passes a large body in order when its first piece is small and held back", run(function()
    local body = {}
    for i = 1, 100000 do
      body[i] = ("%09d\n"):format(i)
    end
    body = table.concat(body)
    local seen = origin.gate()
    local o = origin.start(function(_, res)
      res:raw(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#body) .. body:sub(1, 9000))
      res:wait(seen)
      res:raw(body:sub(9001))
    end)
    local gw = serve(o, [[server { listen 127.0.0.1:0; location / { proxy_pass http://$O;
      proxy_buffer_size 16k; proxy_buffers 16 16k; } }]])
    local c = client.connect(gw.port)
    c:request("GET", "/", { Host = "a" })
    assert.equal(200, c:head().status) -- so the first piece is there, and held
    seen:open()
    assert.is_true(c:read(#body) == body)
  end))
end)

describe("proxy_buffering", function()
  it("holds back small pieces of event streams too, but not chunks", run(function()
    local gate = origin.gate()
    local o = origin.start(function(req, res)
      if req.path == "/chunks" then
        res:chunked(200, { ["Content-Type"] = "text/event-stream" })
        res:chunk("data: 1\n\n")
      else
        res:head(200, { ["Content-Type"] = "text/event-stream", Connection = "close" })
        res:raw("data: 1\n\n")
      end
      res:wait(gate)
      if req.path == "/chunks" then
        res:last()
      else
        res:cut()
      end
    end)
    local gw = serve(o, [[server { listen 127.0.0.1:0; location / { proxy_pass http://$O; }
      location /now { proxy_pass http://$O; proxy_buffering off; } }]])
    local held = client.connect(gw.port)
    held:request("GET", "/held")
    held:head()
    for _, path in ipairs { "/chunks", "/now" } do
      local c = client.connect(gw.port)
      c:request("GET", path)
      c:head()
      assert.is_truthy(c:some(100):find("data: 1", 1, true), path)
    end
    assert.is_true(held:is_quiet(0.2))
    gate:open()
    assert.is_truthy(held:some(100):find("data: 1", 1, true))
  end))
end)

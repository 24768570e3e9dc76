--- Request bodies in nginx syntax: in memory, in files, and on their way as they come.
local client = require("spec.support.client")
local h2 = require("spec.support.h2")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local function read(path)
  local file = path and io.open(path)
  return file and file:read("*a"), file and file:close()
end

--- $O is the origin's address, $D a folder.
local function serve(o, http)
  local dir = tmp.dir()
  local head = "http2 on; client_body_temp_path " .. dir .. "; add_header X-Body $request_body; add_header X-File $request_body_file;\n"
  return start(((head .. http):gsub("%$O", "127.0.0.1:" .. o.port)))
end

describe("a request body", function()
  it("is $request_body while it is in memory, and $request_body_file when it is not", run(function()
    local o = origin.start()
    local gw = serve(o, "server { listen 127.0.0.1:0; client_body_buffer_size 1k; location / { proxy_pass http://$O; } }")
    local res = client.connect(gw.port):call("POST", "/", nil, "small")
    assert.equal("small", res.headers:get("X-Body"))
    assert.is_nil(res.headers:get("X-File"))
    local large = ("large"):rep(1000)
    res = client.connect(gw.port):call("POST", "/", nil, large)
    assert.is_nil(res.headers:get("X-Body"))
    assert.is_truthy(res.headers:get("X-File"))
    assert.equal(large, o:last().body)
  end))

  it("may be in a file always, of no bytes too, and the file stays with on", run(function()
    local o = origin.start()
    local gw = serve(o, [[server { listen 127.0.0.1:0; location / { client_body_in_file_only on; proxy_pass http://$O; }
      location /clean { client_body_in_file_only clean; proxy_pass http://$O; } }]])
    local res = client.connect(gw.port):call("POST", "/", nil, "kept")
    assert.equal("kept", (read(res.headers:get("X-File"))))
    assert.is_nil(res.headers:get("X-Body"))
    res = client.connect(gw.port):call("POST", "/", { ["Content-Length"] = "0" }, "")
    assert.equal("", (read(res.headers:get("X-File"))))
    local c = client.connect(gw.port)
    res = c:call("POST", "/clean", nil, "gone")
    assert.is_truthy(res.headers:get("X-File"))
    c:call("GET", "/clean") -- the request before is over
    assert.is_nil((read(res.headers:get("X-File"))))
    res = h2.connect(gw.port):call { method = "POST", path = "/", body = "over h2" }
    assert.equal("over h2", (read(res.headers["x-file"])))
  end))

  it("that is here as a whole is as good as held when it need not be", run(function()
    local o = origin.start()
    local bad = origin.start(function(_, res)
      res:cut()
    end)
    local gw = serve(o, ([[upstream u { server 127.0.0.1:%d; server $O backup; }
      server { listen 127.0.0.1:0; proxy_request_buffering off; client_body_in_file_only on; client_body_buffer_size 1k;
        location / { proxy_pass http://u; proxy_next_upstream error non_idempotent; }
        location /page { proxy_pass http://$O; } }]]):format(bad.port))
    local res = client.connect(gw.port):call("POST", "/", nil, "whole")
    assert.equal(200, res.status)
    assert.equal("whole", res.headers:get("X-Body"))
    assert.is_nil(res.headers:get("X-File"))
    assert.equal("whole", o:last().body)
    local c = client.connect(gw.port)
    c:send("POST /page HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n" .. ("a"):rep(1500))
    wait.till(function()
      return o.connections == 2
    end)
    c:send(("b"):rep(1500))
    res = c:response()
    assert.equal(200, res.status)
    assert.is_nil(res.headers:get("X-Body"))
    assert.equal(("a"):rep(1500) .. ("b"):rep(1500), o:last().body)
  end))

  it("of HTTP/2 that is shorter than it said goes no further", run(function()
    local o = origin.start(function(req)
      return 200, nil, req.body or ""
    end)
    local gw = serve(o, "server { listen 127.0.0.1:0; location / { proxy_pass http://$O; } }")
    local res = h2.connect(gw.port):call { method = "POST", path = "/", headers = { { "content-length", "10" } }, body = "short" }
    assert.equal(400, res.status)
    assert.equal(0, #o.requests)
  end))
end)

describe("Expect: 100-continue", function()
  it("is answered for a body of no bytes too, but not to HTTP/1.0", run(function()
    local o = origin.start()
    local gw = serve(o, "server { listen 127.0.0.1:0; location / { proxy_pass http://$O; } }")
    for version, count in pairs { ["1.1"] = 1, ["1.0"] = 0 } do
      local c = client.connect(gw.port)
      c:send("POST / HTTP/" .. version .. "\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      local res = c:response()
      assert.equal(200, res.status)
      assert.equal(count, #res.interim)
    end
  end))
end)

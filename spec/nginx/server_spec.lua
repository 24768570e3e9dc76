--- Which server and which location answer, by wire; and the limits of what clients may send.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")

local function start(http, listeners)
  local config = "daemon off;\nuser root;\nerror_log stderr info;\nevents {}\nhttp {\n  access_log off;\n%s\n}\n"
  return gateway.start(config:format(http), { name = "nginx.conf", listeners = listeners })
end

--- What an origin is asked for when `bytes` are sent: one path per server or location.
local function asked(gw, o, bytes, port)
  o:clear()
  local c = client.connect(port or gw.port)
  c:send(bytes)
  local res = c:response()
  return o:last() and o:last().path, res
end

local function get(path, host, more)
  return ("GET %s HTTP/1.1\r\n%s%s\r\n"):format(path, host and "Host: " .. host .. "\r\n" or "", more or "")
end

describe("a server in nginx syntax", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    local to = "proxy_pass http://127.0.0.1:" .. o.port
    gw = start(([[
      server { listen 127.0.0.1:0; server_name first; location / { TO/first; } }
      server { listen 127.0.0.1:0; server_name a.example.com; location / { TO/exact; } }
      server { listen 127.0.0.1:0; server_name *.example.com; location / { TO/wild; } }
      server { listen 127.0.0.1:0; server_name .dot.org; location / { TO/dot; } }
      server { listen 127.0.0.1:0; server_name mail.*; location / { TO/tail; } }
      server { listen 127.0.0.1:0; server_name ~^w(?<n>\d+)\.net$; location / { TO/regex; } }
      server { listen 127.0.0.1:0; server_name ""; location / { TO/none; } }
    ]]):gsub("TO", to), 1)
  end))
  teardown(run.teardown)

  it("is found by its name, and the first of the address when none has it", run(function()
    for host, path in pairs {
      ["a.example.com"] = "/exact", ["A.Example.com:80"] = "/exact", ["b.example.com"] = "/wild", ["x.y.example.com"] = "/wild",
      ["dot.org"] = "/dot", ["a.dot.org"] = "/dot", ["mail.test"] = "/tail", ["w12.net"] = "/regex", ["other"] = "/first",
      ["example.com"] = "/first",
    } do
      assert.equal(path, (asked(gw, o, get("/", host))), host)
    end
  end))

  it("takes requests without a host when its name is empty", run(function()
    assert.equal("/none", (asked(gw, o, "GET / HTTP/1.0\r\n\r\n")))
    local _, res = asked(gw, o, "GET / HTTP/1.1\r\n\r\n")
    assert.equal(400, res.status)
  end))

  it("takes lines that end with LF alone", run(function()
    assert.equal("/exact", (asked(gw, o, "GET / HTTP/1.0\nHost: a.example.com\nX_Y: 1\n\n")))
    assert.is_nil(o:last().headers:get("X_Y"))
  end))

  it("refuses TRACE and CONNECT", run(function()
    for _, line in ipairs { "TRACE / HTTP/1.1", "CONNECT a:80 HTTP/1.1" } do
      local path, res = asked(gw, o, line .. "\r\nHost: a:80\r\n\r\n")
      assert.is_nil(path)
      assert.equal(405, res.status)
    end
  end))

  it("goes by the host of an absolute target", run(function()
    assert.equal("/exact", (asked(gw, o, get("http://a.example.com/", "other"))))
  end))
end)

describe("a location in nginx syntax", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    gw = start(([[
      server {
        listen 127.0.0.1:0;
        location / { TO/root/; }
        location = /x { TO/exact; }
        location /dir/ { TO/dir/; location /dir/in/ { TO/inner/; } }
        location ^~ /raw/ { TO/raw/; }
        location /only/ { TO/only/; limit_except GET { TO; } }
      }
    ]]):gsub("TO", "proxy_pass http://127.0.0.1:" .. o.port), 1)
  end))
  teardown(run.teardown)

  it("is chosen by the decoded, merged and resolved path", run(function()
    for target, path in pairs {
      ["/y"] = "/root/y", ["/x"] = "/exact", ["/%78"] = "/exact", ["/a/../x"] = "/exact", ["//x"] = "/exact",
      ["/dir/1"] = "/dir/1", ["/dir/in/1"] = "/inner/1", ["/dir//in/./1"] = "/inner/1", ["/raw/1"] = "/raw/1",
    } do
      assert.equal(path, (asked(gw, o, get(target, "h"))), target)
    end
  end))

  it("that passes requests on sends a path without its final slash there", run(function()
    local path, res = asked(gw, o, get("/dir?a=b", "h:1"))
    assert.is_nil(path)
    assert.equal(301, res.status)
    assert.equal(("http://h:%d/dir/?a=b"):format(gw.port), res.headers:get("Location"))
    assert.truthy(res.body:find("<center>nginx/", 1, true))
  end))

  it("keeps the methods of limit_except", run(function()
    assert.equal("/only/1", (asked(gw, o, get("/only/1", "h"))))
    assert.equal("/only/1", (asked(gw, o, "HEAD /only/1 HTTP/1.1\r\nHost: h\r\n\r\n")))
    assert.equal("/only/1", (asked(gw, o, "DELETE /only/1 HTTP/1.1\r\nHost: h\r\n\r\n")))
  end))
end)

describe("limits of clients in nginx syntax", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    gw = start(([[
      client_header_buffer_size 128;
      large_client_header_buffers 2 512;
      server {
        listen 127.0.0.1:0;
        server_tokens off;
        client_max_body_size 10;
        keepalive_timeout 30s 9s;
        location / { TO; }
        location /once { TO; keepalive_timeout 0; }
        location /two { TO; keepalive_requests 2; }
      }
    ]]):gsub("TO", "proxy_pass http://127.0.0.1:" .. o.port), 1)
  end))
  teardown(run.teardown)

  it("answer a long request line with 414", run(function()
    local _, res = asked(gw, o, get("/" .. ("a"):rep(520), "h"))
    assert.equal(414, res.status)
    assert.equal("nginx", res.headers:get("Server"))
    assert.truthy(res.body:find("<center>nginx</center>", 1, true))
  end))

  it("answer a long field, and more than the buffers hold, with 400", run(function()
    local field = "X-A: " .. ("b"):rep(400) .. "\r\n"
    assert.equal("/", (asked(gw, o, get("/", "h", field))))
    for _, fields in ipairs { "X-A: " .. ("b"):rep(520) .. "\r\n", field:rep(3) } do
      local path, res = asked(gw, o, get("/", "h", fields))
      assert.is_nil(path)
      assert.equal(400, res.status)
      assert.truthy(res.body:find("Request Header Or Cookie Too Large", 1, true))
    end
  end))

  it("answer a long body with 413", run(function()
    local _, res = asked(gw, o, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n" .. ("x"):rep(11))
    assert.equal(413, res.status)
    assert.equal("Request Entity Too Large", res.reason)
  end))

  it("tell how long a connection is kept", run(function()
    local _, res = asked(gw, o, get("/", "h"))
    assert.equal("keep-alive", res.headers:get("Connection"))
    assert.equal("timeout=9", res.headers:get("Keep-Alive"))
    _, res = asked(gw, o, get("/once", "h"))
    assert.equal("close", res.headers:get("Connection"))
  end))

  it("count the requests of a connection", run(function()
    local c = client.connect(gw.port)
    c:send(get("/two", "h"))
    assert.equal("keep-alive", c:response().headers:get("Connection"))
    c:send(get("/two", "h"))
    assert.equal("close", c:response().headers:get("Connection"))
    assert.is_true(c:is_closed())
  end))

  it("drop fields with an underscore", run(function()
    asked(gw, o, get("/", "h", "X_A: 1\r\nX-B: 2\r\n"))
    assert.is_nil(o:last().headers:get("X_A"))
    assert.equal("2", o:last().headers:get("X-B"))
  end))
end)

describe("listen in nginx syntax", function()
  it("tells connections of a shared port apart by their address", run(function()
    local o = origin.start()
    local port = require("spec.examples.support").free_port()
    local gw = start(([[
      server { listen *:PORT; location / { TO/any; } }
      server { listen 127.0.0.2:PORT; location / { TO/two; } }
    ]]):gsub("TO", "proxy_pass http://127.0.0.1:" .. o.port):gsub("PORT", port), 1)
    local function at(ip)
      o:clear()
      local c = client.connect(ip .. ":" .. port)
      c:send(get("/", "h"))
      c:response()
      return o:last().path
    end
    assert.equal("/any", at("127.0.0.1"))
    assert.equal("/two", at("127.0.0.2"))
    local mark = gw:mark()
    gw:reload()
    gw:wait_log("(generation 2)", mark)
    assert.equal("/two", at("127.0.0.2"))
  end))
end)

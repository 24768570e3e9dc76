--- access_log, log_format, error_log, stub_status in nginx syntax.
local client = require("spec.support.client")
local run = require("spec.support.run")
local start = require("spec.nginx.start")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local function lines_of(gw, name, pattern)
  return wait.till(function()
    local text = tmp.read(gw.dir .. "/" .. name)
    return text and text:find(pattern) and text
  end, name .. " to have " .. pattern)
end

describe("access_log", function()
  it("writes the lines of its format, escaped as it says, where its condition holds", run(function()
    local gw = start([[
      log_format plain "$request_method $arg_x $http_a|";
      log_format json escape=json '{"a":"$http_a"}';
      log_format raw escape=none "$http_a";
      server { listen 127.0.0.1:0;
        location / { stub_status; access_log plain.log plain; access_log json.log json if=$arg_x; access_log raw.log raw; }
        location /off { stub_status; access_log off; } }
    ]], { args = { "-p", "{dir}/", "-c", "nginx.conf" } })
    client.get(gw.port, "/?x=1", { A = 'q"\\\xc3' })
    client.get(gw.port, "/?x=0", {})
    client.get(gw.port, "/off?x=7")
    assert.equal(0, gw:stop())
    assert.equal('GET 1 q\\x22\\x5C\\xC3|\nGET 0 -|\n', tmp.read(gw.dir .. "/plain.log"))
    assert.equal('{"a":"q\\"\\\\\xc3"}\n', tmp.read(gw.dir .. "/json.log"))
    assert.equal('q"\\\xc3\n\n', tmp.read(gw.dir .. "/raw.log"))
  end))

  it("buffers, compresses, and gives everything out at the end", run(function()
    local gw = start([[
      log_format l "$uri";
      server { listen 127.0.0.1:0; location / { stub_status; access_log b.log l buffer=4k flush=1h; access_log z.log l gzip; } }
    ]], { args = { "-p", "{dir}/", "-c", "nginx.conf" } })
    client.get(gw.port, "/one")
    assert.equal("", tmp.read(gw.dir .. "/b.log"))
    assert.equal(0, gw:stop())
    assert.equal("/one\n", tmp.read(gw.dir .. "/b.log"))
    assert.equal("/one\n", io.popen("gzip -dc " .. gw.dir .. "/z.log"):read("*a"))
  end))

  it("keeps files that requests name open when it is told to", run(function()
    local gw = start([[
      log_format l $uri;
      server { listen 127.0.0.1:0; access_log d/$arg_n l; open_log_file_cache max=2 min_uses=2 valid=1h inactive=1h;
        location / { stub_status; } location /off { stub_status; open_log_file_cache off; } }
    ]], { args = { "-p", "{dir}/", "-c", "nginx.conf" } })
    os.execute("mkdir -m 777 " .. gw.dir .. "/d")
    for _, name in ipairs { "old", "old", "once", "one", "one", "two", "two" } do
      client.get(gw.port, "/a?n=" .. name, { Connection = "close" }) -- it is in the log when its connection ends
    end
    wait.till(function() return #tmp.read(gw.dir .. "/d/two") == 6 end) -- a line follows its answer
    assert.is_truthy(os.rename(gw.dir .. "/d", gw.dir .. "/e"))
    for _, name in ipairs { "old", "once", "one", "two" } do
      client.get(gw.port, "/b?n=" .. name)
    end
    client.get(gw.port, "/off?n=one")
    assert.equal(0, gw:stop())
    local sizes = {}
    for i, name in ipairs { "old", "once", "one", "two" } do
      sizes[i] = #tmp.read(gw.dir .. "/e/" .. name)
    end
    assert.same({ 6, 3, 9, 9 }, sizes)
  end))

  it("goes on in a new file after USR1", run(function()
    local gw = start("log_format l $uri; server { listen 127.0.0.1:0; access_log a.log l; location / { stub_status; } }",
      { args = { "-p", "{dir}/", "-c", "nginx.conf" } })
    client.get(gw.port, "/before")
    lines_of(gw, "a.log", "/before")
    os.rename(gw.dir .. "/a.log", gw.dir .. "/old.log")
    gw:signal("USR1")
    lines_of(gw, "a.log", "")
    wait.till(function()
      client.get(gw.port, "/after")
      return tmp.read(gw.dir .. "/a.log"):find("/after")
    end, "the new file to be used")
    assert.matches("^/before\n", tmp.read(gw.dir .. "/old.log"))
  end))

  it("opens the file that the request names", run(function()
    local gw = start("log_format l $uri; server { listen 127.0.0.1:0; access_log by-$arg_who.log l; location / { stub_status; } }",
      { args = { "-p", "{dir}/", "-c", "nginx.conf" } })
    require("posix.sys.stat").chmod(gw.dir, 511)
    client.get(gw.port, "/x?who=me")
    assert.equal("/x\n", lines_of(gw, "by-me.log", "/x"))
  end))

  it("says what is wrong with its options", run(function()
    local gateway = require("spec.support.gateway")
    local function refused(text)
      return gateway.exec("events {}\nhttp { " .. text .. " server { listen 127.0.0.1:0; } }\n",
        { name = "nginx.conf", args = { "-t", "-c", "{conf}", "-e", "stderr" } }):stderr()
    end
    assert.matches('unknown log format "x"', refused("access_log a.log x;"), 1, true)
    assert.matches('invalid buffer size "0"', refused("access_log a.log combined buffer=0;"), 1, true)
    assert.matches("buffered logs cannot have variables in name", refused("access_log a$uri.log combined buffer=1k;"), 1, true)
    assert.matches('no buffer is defined for access_log "a.log"', refused("access_log a.log combined flush=1s;"), 1, true)
    assert.matches('duplicate "log_format" name "combined"', refused('log_format combined "x";'), 1, true)
  end))
end)

describe("error_log", function()
  it("goes where the block says, by level, in nginx's words", run(function()
    local gw = start([[
      server { listen 127.0.0.1:0;
        location /a { error_log e.log error; error_log w.log warn; error_log c.log crit; proxy_pass http://127.0.0.1:1; }
        location / { proxy_pass http://127.0.0.1:1; } }
    ]], { args = { "-p", "{dir}/", "-c", "nginx.conf" } })
    client.get(gw.port, "/a/b?c", { Host = "h.example", Referer = "http://r/" })
    local line = lines_of(gw, "e.log", "refused")
    assert.matches("^%d%d%d%d/%d%d/%d%d %d%d:%d%d:%d%d %[error%] %d+#%d+: %*%d+ connect%(%) failed %(111: Connection refused%) "
      .. 'while connecting to upstream, client: 127%.0%.0%.1, server: , request: "GET /a/b%?c HTTP/1%.1", '
      .. 'upstream: "http://127%.0%.0%.1:1/a/b%?c", host: "h%.example", referrer: "http://r/"\n$', line)
    assert.equal(line, tmp.read(gw.dir .. "/w.log"))
    assert.equal("", tmp.read(gw.dir .. "/c.log"))
    assert.is_nil(gw:stderr():find("connect() failed", 1, true))
    client.get(gw.port, "/")
    gw:wait_log("connect%(%) failed")
  end))

  it("can be a syslog server", run(function()
    local socket = require("posix.sys.socket")
    local fd = assert(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM, 0))
    local path = tmp.dir() .. "/log"
    assert(socket.bind(fd, { family = socket.AF_UNIX, path = path }))
    require("posix.sys.stat").chmod(path, 511)
    socket.setsockopt(fd, socket.SOL_SOCKET, socket.SO_RCVTIMEO, 5, 0)
    local gw = start(([[
      log_format l "$uri";
      server { listen 127.0.0.1:0; location / { stub_status; }
        access_log syslog:server=unix:%s,facility=user,severity=warn,tag=gate,nohostname l; }
    ]]):format(path))
    client.get(gw.port, "/x")
    assert.matches("^<12>%a%a%a [ %d]%d %d%d:%d%d:%d%d gate: /x$", (socket.recv(fd, 2000)))
  end))
end)

describe("stub_status", function()
  it("counts, for GET and HEAD", run(function()
    local gw = start("server { listen 127.0.0.1:0; location / { stub_status; } }")
    local c = client.connect(gw.port)
    assert.equal("Active connections: 1 \nserver accepts handled requests\n 1 1 1 \nReading: 0 Writing: 1 Waiting: 0 \n", c:get("/").body)
    assert.equal(200, client.get(gw.port, "/").status)
    assert.equal(405, client.connect(gw.port):call("POST", "/", {}, "x").status)
    local reading = client.connect(gw.port)
    reading:send("GET / HTTP/1.1\r\nHo")
    wait.till(function()
      return c:get("/").body:find("Reading: 1 Writing: 1 ", 1, true)
    end, "the half head to be seen")
  end))
end)

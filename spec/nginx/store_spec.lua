--- proxy_store in nginx syntax.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local function read(path)
  local file = io.open(path)
  return file and file:read("*a"), file and file:close()
end

local function count(dir)
  return tonumber(io.popen("find " .. dir .. " -type f | wc -l"):read("*a"))
end

describe("proxy_store", function()
  local o, gw, dir, gate

  setup(run.setup(function()
    gate = origin.gate()
    o = origin.start(function(req, res)
      if req.path == "/slow" then
        res:head(200, { ["Content-Length"] = "8" })
        res:raw("half")
        res:wait(gate)
        return
      elseif req.path == "/cut" then
        res:head(200, { ["Content-Length"] = "8" })
        return res:cut()
      elseif req.path == "/chunks" then
        res:chunked(200)
        res:chunk("one")
        res:chunk(("two"):rep(20000))
        return res:last()
      end
      local status = tonumber(req.path:match("^/(%d+)")) or 200
      return status, { ["Last-Modified"] = "Sun, 06 Nov 1994 08:49:37 GMT" }, "of " .. req.path
    end)
    dir = tmp.dir()
    gw = start(([[server { listen 127.0.0.1:0; root %s; proxy_set_header Host a;
      location / { proxy_pass http://127.0.0.1:%d; proxy_store on; proxy_store_access user:rw group:r all:r; }
      location /as/ { proxy_pass http://127.0.0.1:%d/; proxy_store %s/x/y$uri.kept; }
      location /arg/ { proxy_pass http://127.0.0.1:%d/; proxy_store %s/x/$arg_to; }
      location /off/ { proxy_pass http://127.0.0.1:%d/; } }]]):format(dir, o.port, o.port, dir, o.port, dir, o.port))
  end))
  teardown(run.teardown)

  it("keeps a 200 to a GET as the file of its path, with the time and the rights it should have", run(function()
    assert.equal("of /a", client.get(gw.port, "/a").body)
    assert.equal("of /a", (read(dir .. "/a")))
    local about = require("posix.sys.stat").stat(dir .. "/a")
    assert.equal(784111777, about.st_mtime)
    assert.equal(420, about.st_mode % 512)
    client.get(gw.port, "/chunks")
    assert.equal("one" .. ("two"):rep(20000), (read(dir .. "/chunks")))
  end))

  it("takes a name made of variables, makes folders, and replaces what was there", run(function()
    client.get(gw.port, "/as/b")
    client.get(gw.port, "/as/b")
    assert.equal("of /b", (read(dir .. "/x/y/as/b.kept")))
  end))

  it("keeps no file whose name climbs out of its folder", run(function()
    assert.equal("of /b", client.get(gw.port, "/arg/b?to=../climbed").body)
    assert.equal("of /b", client.get(gw.port, "/arg/b?to=inside").body)
    assert.equal("of /b", (read(dir .. "/x/inside")))
    assert.is_nil((read(dir .. "/climbed")))
  end))

  it("keeps nothing else", run(function()
    local before = count(dir)
    client.get(gw.port, "/404")
    client.call(gw.port, "POST", "/post", nil, "x")
    client.call(gw.port, "HEAD", "/head")
    client.get(gw.port, "/off/c")
    client.get(gw.port, "/cut")
    local c = client.connect(gw.port)
    c:send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.is_truthy(c:read(1))
    c:close()
    gate.open()
    wait.till(function()
      return client.get(gw.port, "/off/d").status == 200
    end)
    assert.equal(before, count(dir))
  end))
end)

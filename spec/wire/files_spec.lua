--- Files served by a route.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")

local big = ("0123456789abcdef"):rep(65536) .. "end" -- over a megabyte

describe("files", function()
  local gw, dir

  setup(run.setup(function()
    dir = tmp.dir()
    tmp.write(dir, "public/index.html", "<p>home</p>")
    tmp.write(dir, "public/a b.txt", "spaced")
    tmp.write(dir, "public/app.js", "let x")
    tmp.write(dir, "public/noext", "bytes")
    tmp.write(dir, "public/big.bin", big)
    tmp.write(dir, "public/empty.css", "")
    tmp.write(dir, "public/sub/index.html", "<p>sub</p>")
    tmp.write(dir, "public/bare/x.txt", "x")
    tmp.write(dir, "outside.txt", "secret")
    os.execute(("cd '%s/public' && ln -s ../outside.txt leak.txt && ln -s app.js link.js && mkfifo pipe"):format(dir))
    gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1 }
      site "*" {
        files = "DIR/public",
        route "/assets/*" { files = "DIR/public" },
        route "/one" { files = "DIR/public/app.js" },
        route "/all/*" { files = { root = "DIR/public", links = "follow", etag = false } },
        route "/spa/*" { files = { root = "DIR/public", try = { "$uri", "/index.html" } } },
        route "/dated/*" { files = "DIR/public", expires = "1h" },
      }
    ]]):gsub("DIR", dir), {})
  end))
  teardown(run.teardown)

  it("have a type, a length and validators", run(function()
    local res = client.get(gw.port, "/app.js")
    assert.equal(200, res.status)
    assert.equal("let x", res.body)
    assert.equal("text/javascript", res.headers:get("Content-Type"))
    assert.equal("5", res.headers:get("Content-Length"))
    assert.equal("bytes", res.headers:get("Accept-Ranges"))
    assert.truthy(res.headers:get("ETag"):match('^"%x+%-5"$'))
    assert.truthy(res.headers:get("Last-Modified"):match(" GMT$"))
  end))

  it("of unknown kinds are bytes", run(function()
    assert.equal("application/octet-stream", client.get(gw.port, "/noext").headers:get("Content-Type"))
  end))

  it("are found by their decoded path", run(function()
    assert.equal("spaced", client.get(gw.port, "/a%20b.txt").body)
  end))

  it("may be empty", run(function()
    local res = client.get(gw.port, "/empty.css")
    assert.equal(200, res.status)
    assert.equal("0", res.headers:get("Content-Length"))
  end))

  it("may be large, and a HEAD tells their size", run(function()
    local res = client.get(gw.port, "/big.bin")
    assert.equal(#big, #res.body)
    assert.is_true(res.body == big)
    local head = client.call(gw.port, "HEAD", "/big.bin")
    assert.equal(tostring(#big), head.headers:get("Content-Length"))
    assert.equal("", head.body)
  end))

  it("keep the connection", run(function()
    local c = client.connect(gw.port)
    assert.equal(big, c:get("/big.bin").body)
    assert.equal("let x", c:get("/app.js").body)
    assert.equal(404, c:get("/none").status)
    assert.equal("let x", c:get("/app.js").body)
  end))

  it("of a prefix route are looked for behind the prefix", run(function()
    assert.equal("let x", client.get(gw.port, "/assets/app.js").body)
    assert.equal("<p>sub</p>", client.get(gw.port, "/assets/sub/").body)
    assert.equal(404, client.get(gw.port, "/assets/none").status)
  end))

  it("of an exact route are that file", run(function()
    assert.equal("let x", client.get(gw.port, "/one").body)
  end))

  it("stand for folders as index", run(function()
    assert.equal("<p>home</p>", client.get(gw.port, "/").body)
    local res = client.get(gw.port, "/sub/")
    assert.equal("<p>sub</p>", res.body)
    assert.equal("text/html", res.headers:get("Content-Type"))
  end))

  it("send the client of a folder to its slash, query kept", run(function()
    local res = client.get(gw.port, "/sub?a=1")
    assert.equal(301, res.status)
    assert.equal("/sub/?a=1", res.headers:get("Location"))
  end))

  it("are not listed", run(function()
    assert.equal(403, client.get(gw.port, "/bare/").status)
    assert.equal(404, client.get(gw.port, "/none/").status)
  end))

  it("are for GET and HEAD", run(function()
    for _, method in ipairs { "POST", "PUT", "DELETE" } do
      local res = client.call(gw.port, method, "/app.js")
      assert.equal(405, res.status, method)
      assert.equal("GET, HEAD", res.headers:get("Allow"))
    end
  end))

  it("above the folder are out of reach", run(function()
    local above = { "/../outside.txt", "/%2e%2e/outside.txt", "/assets/../../outside.txt", "/assets/..%2f..%2foutside.txt", "/x%00" }
    for _, path in ipairs(above) do
      local status = client.get(gw.port, path).status
      assert.truthy(status == 400 or status == 404, path .. " " .. status)
    end
  end))

  it("behind links that leave the folder are refused, unless links are followed", run(function()
    assert.equal(403, client.get(gw.port, "/leak.txt").status)
    assert.equal("let x", client.get(gw.port, "/link.js").body)
    assert.equal("secret", client.get(gw.port, "/all/leak.txt").body)
  end))

  it("are regular ones: a pipe holds nobody", run(function()
    assert.equal(404, client.get(gw.port, "/pipe").status)
  end))

  it("are tried in order", run(function()
    assert.equal("let x", client.get(gw.port, "/spa/app.js").body)
    assert.equal("<p>home</p>", client.get(gw.port, "/spa/users/7").body)
  end))

  it("go without ETag where it is off", run(function()
    assert.is_nil(client.get(gw.port, "/all/app.js").headers:get("ETag"))
  end))

  it("expire", run(function()
    local res = client.get(gw.port, "/dated/app.js")
    assert.equal("max-age=3600", res.headers:get("Cache-Control"))
    assert.truthy(res.headers:get("Expires"))
    assert.is_nil(client.get(gw.port, "/dated/none").headers:get("Expires"))
  end))

  describe("that the client has", function()
    local etag, modified

    before_each(run(function()
      local res = client.get(gw.port, "/app.js")
      etag, modified = res.headers:get("ETag"), res.headers:get("Last-Modified")
    end))

    local function status(fields)
      return client.get(gw.port, "/app.js", fields).status
    end

    it("are not sent again", run(function()
      local res = client.get(gw.port, "/app.js", { ["If-None-Match"] = etag })
      assert.equal(304, res.status)
      assert.equal(etag, res.headers:get("ETag"))
      assert.is_nil(res.headers:get("Content-Type"))
      assert.is_nil(res.headers:get("Content-Length"))
      assert.equal(304, status { ["If-None-Match"] = '"x", W/' .. etag })
      assert.equal(304, status { ["If-None-Match"] = "*" })
      assert.equal(304, status { ["If-Modified-Since"] = modified })
      assert.equal(304, status { ["If-Modified-Since"] = "Fri, 01 Jan 2100 00:00:00 GMT" })
    end))

    it("are sent when they changed", run(function()
      assert.equal(200, status { ["If-None-Match"] = '"x"' })
      assert.equal(200, status { ["If-Modified-Since"] = "Thu, 01 Jan 1970 00:00:00 GMT" })
      assert.equal(200, status { ["If-Modified-Since"] = "nonsense" })
      assert.equal(200, status { ["If-None-Match"] = '"x"', ["If-Modified-Since"] = modified })
    end))

    it("fail preconditions with 412", run(function()
      assert.equal(200, status { ["If-Match"] = etag })
      assert.equal(412, status { ["If-Match"] = '"x"' })
      assert.equal(412, status { ["If-Match"] = "W/" .. etag })
      assert.equal(200, status { ["If-Unmodified-Since"] = modified })
      assert.equal(412, status { ["If-Unmodified-Since"] = "Thu, 01 Jan 1970 00:00:00 GMT" })
    end))

    it("are answered in step on one connection", run(function()
      local c = client.connect(gw.port)
      assert.equal(304, c:get("/app.js", { ["If-None-Match"] = etag }).status)
      assert.equal(412, c:get("/app.js", { ["If-Match"] = '"x"' }).status)
      assert.equal("let x", c:get("/app.js").body)
    end))
  end)
end)

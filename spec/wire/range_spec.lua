--- Parts of files: RFC 9110 §14.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")

local text = ("0123456789"):rep(100)

describe("ranges", function()
  local gw

  setup(run.setup(function()
    local dir = tmp.dir()
    tmp.write(dir, "t.txt", text)
    tmp.write(dir, "big.bin", text:rep(1000))
    tmp.write(dir, "empty.txt", "")
    local tls = certs.make("localhost")
    gw = gateway.start(([[
      gateway { listen = { "127.0.0.1:0", "127.0.0.2:0 tls" }, workers = 1, http_redirect = false }
      site "*" {
        tls = { cert = "CERT", key = "KEY" },
        files = "DIR",
        route "/two/*" { files = { root = "DIR", ranges = 2 } },
        route "/off/*" { files = { root = "DIR", ranges = false } },
        route "/upper/*" { files = "DIR", on = { body = function(_, chunk) return (chunk:gsub("1", "x")) end } },
      }
    ]]):gsub("DIR", dir):gsub("CERT", tls.cert):gsub("KEY", tls.key), {})
  end))
  teardown(run.teardown)

  local function get(range, path, fields)
    fields = fields or {}
    fields.Range = range
    return client.get(gw.port, path or "/t.txt", fields)
  end

  local function one(range, from, last)
    local res = get(range)
    assert.equal(206, res.status)
    assert.equal(("bytes %d-%d/1000"):format(from, last), res.headers:get("Content-Range"))
    assert.equal(tostring(last - from + 1), res.headers:get("Content-Length"))
    assert.equal(text:sub(from + 1, last + 1), res.body)
  end

  it("begin and end where they say", run(function()
    one("bytes=0-0", 0, 0)
    one("bytes=5-12", 5, 12)
    one("bytes=990-", 990, 999)
    one("bytes=-7", 993, 999)
    one("bytes=-5000", 0, 999)
    one("bytes=990-5000", 990, 999)
    one("BYTES= 1 - 2 ", 1, 2)
  end))

  it("that nothing satisfies are refused with the size", run(function()
    local none = { "1000-", "-0", "5-2", "a-b", "1", "1-2 3-4", "99999999999999999999-" }
    for _, range in ipairs(none) do
      range = "bytes=" .. range
      local res = get(range)
      assert.equal(416, res.status, range)
      assert.equal("bytes */1000", res.headers:get("Content-Range"), range)
    end
  end))

  it("of other units, and of nothing, are ignored", run(function()
    assert.equal(200, get("lines=1-2").status)
    assert.equal(200, get("bytes=").status)
    assert.equal(200, get("bytes=0-", "/empty.txt").status)
  end))

  it("may be several: parts in the order asked for", run(function()
    local res = get("bytes=0-9, -10, 10-19")
    assert.equal(206, res.status)
    local boundary = res.headers:get("Content-Type"):match("^multipart/byteranges; boundary=(%w+)$")
    local parts = {}
    for range, body in res.body:gmatch("Content%-Type: text/plain\r\nContent%-Range: (bytes [^\r]+)\r\n\r\n(%d+)\r\n%-%-" .. boundary) do
      parts[#parts + 1] = range .. "=" .. body
    end
    assert.same({ "bytes 0-9/1000=0123456789", "bytes 990-999/1000=0123456789", "bytes 10-19/1000=0123456789" }, parts)
    assert.equal(tostring(#res.body), res.headers:get("Content-Length"))
    assert.truthy(res.body:find("--" .. boundary .. "--\r\n", 1, true))
  end))

  it("that overlap to more than the whole get the whole", run(function()
    assert.equal(200, get("bytes=0-999, 0-0").status)
    assert.equal(200, get("bytes=" .. ("0-0,"):rep(3000) .. "1-1").status)
  end))

  it("are as many as the route allows", run(function()
    assert.equal(206, get("bytes=0-0,2-2", "/two/t.txt").status)
    assert.equal(200, get("bytes=0-0,2-2,4-4", "/two/t.txt").status)
    local res = get("bytes=0-0", "/off/t.txt")
    assert.equal(200, res.status)
    assert.is_nil(res.headers:get("Accept-Ranges"))
  end))

  it("depend on If-Range", run(function()
    local whole = client.get(gw.port, "/t.txt").headers
    local function status(condition)
      return get("bytes=0-9", nil, { ["If-Range"] = condition }).status
    end
    assert.equal(206, status(whole:get("ETag")))
    assert.equal(206, status(whole:get("Last-Modified")))
    assert.equal(200, status('"other"'))
    assert.equal(200, status("W/" .. whole:get("ETag")))
    assert.equal(200, status("Thu, 01 Jan 1970 00:00:00 GMT"))
    assert.equal(200, status("nonsense"))
  end))

  it("come after the other preconditions", run(function()
    local etag = client.get(gw.port, "/t.txt").headers:get("ETag")
    assert.equal(304, get("bytes=0-9", nil, { ["If-None-Match"] = etag }).status)
    assert.equal(412, get("bytes=0-9", nil, { ["If-Match"] = '"x"' }).status)
  end))

  it("answer HEAD as they would GET", run(function()
    local res = client.call(gw.port, "HEAD", "/t.txt", { Range = "bytes=0-9" })
    assert.equal(206, res.status)
    assert.equal("10", res.headers:get("Content-Length"))
  end))

  it("of large files come over TLS too", run(function()
    local res = client.get("127.0.0.2:" .. gw.ports[2], "/big.bin", { Range = "bytes=5-700004" }, { tls = true })
    assert.equal(206, res.status)
    assert.is_true(res.body == text:rep(1000):sub(6, 700005))
    local whole = client.get("127.0.0.2:" .. gw.ports[2], "/big.bin", nil, { tls = true })
    assert.is_true(whole.body == text:rep(1000))
    local parts = client.get("127.0.0.2:" .. gw.ports[2], "/big.bin", { Range = "bytes=0-299999,500000-799999" }, { tls = true })
    assert.equal(206, parts.status)
    assert.equal(tonumber(parts.headers:get("Content-Length")), #parts.body)
  end))

  it("are not served of bodies that a hook changes", run(function()
    local res = get("bytes=0-9", "/upper/t.txt")
    assert.equal(200, res.status)
    assert.equal(1000, #res.body)
    assert.equal("0x23", res.body:sub(1, 4))
  end))

  it("leave the connection in step", run(function()
    local c = client.connect(gw.port)
    assert.equal(206, c:get("/t.txt", { Range = "bytes=1-2" }).status)
    assert.equal(416, c:get("/t.txt", { Range = "bytes=5000-" }).status)
    assert.equal(206, c:get("/t.txt", { Range = "bytes=1-2,4-5" }).status)
    assert.equal(text, c:get("/t.txt").body)
  end))
end)

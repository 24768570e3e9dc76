--- Compression of responses, and compressed files.
local ffi = require("ffi")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")

ffi.cdef [[
  size_t ZSTD_decompress(void *, size_t, const void *, size_t);
  int BrotliDecoderDecompress(size_t, const uint8_t *, size_t *, uint8_t *);
]]

local unpackers = {
  gzip = function(bytes)
    local path = tmp.write(tmp.dir(), "x.gz", bytes)
    local pipe = io.popen("gzip -dc '" .. path .. "' 2>&1")
    local text = pipe:read("*a")
    pipe:close()
    return text
  end,
  zstd = function(bytes)
    local out = ffi.new("char[?]", 1048576)
    return ffi.string(out, ffi.load("zstd").ZSTD_decompress(out, 1048576, bytes, #bytes))
  end,
  br = function(bytes)
    local out, n = ffi.new("uint8_t[?]", 1048576), ffi.new("size_t[1]", 1048576)
    assert(ffi.load("brotlidec").BrotliDecoderDecompress(#bytes, bytes, n, out) == 1)
    return ffi.string(out, n[0])
  end,
}

local text = ("the quick brown fox jumps over the lazy dog\n"):rep(5000)

describe("compression", function()
  local o, gw, dir

  setup(run.setup(function()
    dir = tmp.dir()
    tmp.write(dir, "page.html", text)
    tmp.write(dir, "photo.png", text)
    tmp.write(dir, "tiny.html", "tiny")
    tmp.write(dir, "ready.txt", "plain")
    tmp.write(dir, "ready.txt.br", "BROTLI")
    tmp.write(dir, "ready.txt.gz", "GZIP")
    o = origin.start(function(_, res)
      res:send(200, { ["Content-Type"] = "application/json", ETag = '"v1"' }, text)
    end)
    gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, compress = true }
      site "*" {
        proxy = "http://127.0.0.1:PORT",
        route "/files/*" { files = { root = "DIR", precompressed = true } },
        route "/off" { compress = false },
        route "/one" { compress = { encodings = { "gzip" }, types = { "*" }, min = "1b", level = 9 } },
        route "/hook" { on = { body = function(_, chunk) return chunk:upper() end } },
      }
    ]]):gsub("PORT", tostring(o.port)):gsub("DIR", dir), {})
  end))
  teardown(run.teardown)

  local function get(path, accept, fields)
    fields = fields or {}
    fields["Accept-Encoding"] = accept
    return client.get(gw.port, path, fields)
  end

  it("gives each client what it accepts", run(function()
    for coding, unpack in pairs(unpackers) do
      local res = get("/", coding)
      assert.equal(coding, res.headers:get("Content-Encoding"))
      assert.equal("Accept-Encoding", res.headers:get("Vary"))
      assert.equal('W/"v1"', res.headers:get("ETag"))
      assert.is_nil(res.headers:get("Content-Length"))
      assert.is_true(#res.body < #text / 10)
      assert.is_true(unpack(res.body) == text, coding)
    end
  end))

  it("chooses by weight, then by our order", run(function()
    local function chosen(accept)
      return get("/", accept).headers:get("Content-Encoding")
    end
    assert.equal("zstd", chosen("gzip, br, zstd"))
    assert.equal("gzip", chosen("gzip;q=1, br;q=0.5, zstd;q=0.4"))
    assert.equal("br", chosen("br;q=0.001"))
    assert.equal("gzip", chosen("x-gzip"))
    assert.equal("zstd", chosen("*"))
    assert.equal("br", chosen("zstd;q=0, *"))
    assert.is_nil(chosen("gzip;q=0"))
    assert.is_nil(chosen("identity, gzip;q=0.5"))
    assert.is_nil(chosen("deflate"))
    assert.is_nil(chosen("gzip;q=nonsense"))
    assert.is_nil(chosen(nil))
  end))

  it("tells caches of its choice where it did not compress, too", run(function()
    local res = get("/", nil)
    assert.equal("Accept-Encoding", res.headers:get("Vary"))
    assert.equal(text, res.body)
    assert.equal('"v1"', res.headers:get("ETag"))
  end))

  it("leaves alone what is small, coded, not to be transformed, an event stream, a part, or off", run(function()
    local cases = {
      { ["Content-Type"] = "text/html", body = "small" },
      { ["Content-Type"] = "text/html", ["Content-Encoding"] = "deflate" },
      { ["Content-Type"] = "text/html", ["Cache-Control"] = "private, no-transform" },
      { ["Content-Type"] = "text/event-stream" },
      { ["Content-Type"] = "image/png" },
      { ["Content-Type"] = "text/html", ["Content-Range"] = "bytes 0-9/10", status = 206 },
    }
    for i, case in ipairs(cases) do
      local body, status = case.body or text, case.status or 200
      case.body, case.status = nil, nil
      o:handle(function(_, res)
        res:send(status, case, body)
      end)
      local res = get("/", "gzip")
      assert.equal(case["Content-Encoding"], res.headers:get("Content-Encoding"), "case " .. i)
      assert.equal(body, res.body)
    end
    o:handle(function(_, res)
      res:send(200, { ["Content-Type"] = "text/html" }, text)
    end)
    assert.is_nil(get("/off", "gzip").headers:get("Content-Encoding"))
  end))

  it("joins what Vary says already", run(function()
    o:handle(function(_, res)
      res:send(200, { ["Content-Type"] = "text/html", Vary = "Origin" }, text)
    end)
    assert.equal("Origin, Accept-Encoding", get("/", "gzip").headers:get("Vary"))
    o:handle(function(_, res)
      res:send(200, { ["Content-Type"] = "text/html", Vary = "Accept, accept-encoding" }, text)
    end)
    assert.equal("Accept, accept-encoding", get("/", "gzip").headers:get("Vary"))
  end))

  it("takes a route's own settings", run(function()
    o:handle(function(_, res)
      res:send(200, { ["Content-Type"] = "image/png" }, ("x"):rep(100))
    end)
    local res = get("/one", "zstd, gzip")
    assert.equal("gzip", res.headers:get("Content-Encoding"))
    assert.equal(("x"):rep(100), unpackers.gzip(res.body))
  end))

  it("passes on what came when the origin pauses", run(function()
    for _, coding in ipairs { "gzip", "br", "zstd" } do
      local gate = origin.gate()
      o:handle(function(_, res)
        res:chunked(200, { ["Content-Type"] = "text/plain" })
        res:chunk("first")
        gate:wait()
        res:chunk("second")
        res:last()
      end)
      local c = client.connect(gw.port)
      assert(c:request("GET", "/", { ["Accept-Encoding"] = coding }))
      assert.equal(200, c:head().status)
      local part = ""
      while #part < 9 do
        part = part .. assert(c:some())
      end
      gate:open()
      c:close()
    end
  end))

  it("comes after the body hook", run(function()
    o:handle(function(_, res)
      res:send(200, { ["Content-Type"] = "text/plain" }, text)
    end)
    local res = get("/hook", "gzip")
    assert.equal("gzip", res.headers:get("Content-Encoding"))
    assert.is_true(unpackers.gzip(res.body) == text:upper())
  end))

  it("of an answer that is cut looks cut", run(function()
    o:handle(function(_, res)
      res:raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n" .. ("x"):rep(5000))
      res:cut()
    end)
    assert.truthy(get("/", "gzip").error)
  end))

  it("is told of to HEAD as to GET", run(function()
    for _, path in ipairs { "/files/page.html", "/" } do
      o:handle(function(_, res)
        res:send(200, { ["Content-Type"] = "text/plain", ["Content-Length"] = tostring(#text) }, "")
      end)
      local c = client.connect(gw.port)
      assert(c:request("HEAD", path, { ["Accept-Encoding"] = "gzip" }))
      local res = c:response()
      assert.equal("gzip", res.headers:get("Content-Encoding"), path)
      assert.is_nil(res.headers:get("Content-Length"))
      c:close()
    end
  end))

  it("of files leaves out ranges and keeps conditions", run(function()
    local res = get("/files/page.html", "gzip")
    assert.equal("gzip", res.headers:get("Content-Encoding"))
    assert.is_nil(res.headers:get("Accept-Ranges"))
    assert.is_true(unpackers.gzip(res.body) == text)
    local etag = res.headers:get("ETag")
    assert.truthy(etag:find('^W/"'))
    assert.equal(304, get("/files/page.html", "gzip", { ["If-None-Match"] = etag }).status)
    assert.equal(200, get("/files/page.html", "gzip", { Range = "bytes=0-9" }).status)
    assert.equal(206, get("/files/page.html", nil, { Range = "bytes=0-9" }).status)
    assert.is_nil(get("/files/photo.png", "gzip").headers:get("Content-Encoding"))
    assert.is_nil(get("/files/tiny.html", "gzip").headers:get("Content-Encoding"))
  end))

  it("is not needed for files that lie there compressed", run(function()
    local res = get("/files/ready.txt", "gzip, br")
    assert.equal("br", res.headers:get("Content-Encoding"))
    assert.equal("BROTLI", res.body)
    assert.equal("text/plain", res.headers:get("Content-Type"))
    assert.equal("Accept-Encoding", res.headers:get("Vary"))
    assert.equal("GZIP", get("/files/ready.txt", "gzip").body)
    res = get("/files/ready.txt", nil)
    assert.equal("plain", res.body)
    assert.equal("Accept-Encoding", res.headers:get("Vary"))
  end))

  it("keeps the connection in step", run(function()
    local c = client.connect(gw.port)
    for _ = 1, 3 do
      assert.equal("gzip", c:get("/files/page.html", { ["Accept-Encoding"] = "gzip" }).headers:get("Content-Encoding"))
      assert.equal(text, c:get("/files/page.html").body)
    end
  end))
end)

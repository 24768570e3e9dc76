--- What becomes of the text of an answer, in the native dialect.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")

describe("the text of an answer", function()
  local gw

  setup(run.setup(function()
    local o = origin.start(function(req)
      return 200, { ["Content-Type"] = "text/html" }, req.path == "/head" and "<h>" or req.path == "/foot" and "<f>" or "Dear guest, guest!"
    end)
    gw = start.proxy(o.port, [[
      route "/charset"  { charset = "utf-8" },
      route "/replace"  { replace = { texts = { guest = "$arg_name", ["dear guest"] = "hello $arg_name" } } },
      route "/once"     { replace = { texts = { guest = "you" }, once = true } },
      route "/around"   { around = { before = "/head", after = "/foot" } },
      route "/trailers" { trailers = { ["X-Sum"] = "$body_bytes_sent" } },
      route "/referer"  { referers = { "*.example.com", "~ \\.test/", none = true }, reply = { body = "[$invalid_referer]" } },
      route "/signed/*" { secure_link = { secret = "s" }, reply = { body = "[$secure_link]" } },
    ]])
  end))
  teardown(run.teardown)

  it("names its charset", run(function()
    assert.equal("text/html; charset=utf-8", client.get(gw.port, "/charset").headers:get("Content-Type"))
    assert.equal("text/html", client.get(gw.port, "/").headers:get("Content-Type"))
  end))

  it("has texts replaced, the longer ones first", run(function()
    assert.equal("hello jo, jo!", client.get(gw.port, "/replace?name=jo").body)
    assert.equal("Dear you, guest!", client.get(gw.port, "/once").body)
  end))

  it("has other answers around it", run(function()
    assert.equal("<h>Dear guest, guest!<f>", client.get(gw.port, "/around").body)
  end))

  it("has trailers", run(function()
    local c = client.connect(gw.port)
    c:request("GET", "/trailers", { TE = "trailers" })
    local res = c:response()
    assert.equal("Dear guest, guest!", res.body)
    assert.is_truthy(res.trailers and res.trailers:get("X-Sum"))
  end))

  it("may depend on who refers, and on signed links", run(function()
    local function referer(value)
      return client.get(gw.port, "/referer", { Referer = value }).body
    end
    assert.same({ "[]", "[]", "[]", "[1]" },
      { referer(nil), referer("http://a.example.com/x"), referer("http://my.test/"), referer("http://evil.com/") })
    local openssl = io.popen("printf 'links' | openssl md5 -r")
    local hash = openssl:read("*a"):match("^%x+")
    openssl:close()
    assert.equal("[link]", client.get(gw.port, "/signed/" .. hash .. "/link").body)
    assert.equal("[]", client.get(gw.port, "/signed/0123456789abcdef0123456789abcdef/link").body)
  end))
end)

describe("ssi, gunzip and expires", function()
  it("work natively", run(function()
    local zipped = io.popen("printf 'plain text' | gzip -c")
    local bytes = zipped:read("*a")
    zipped:close()
    local o = origin.start(function(req)
      if req.path == "/zip" then
        return 200, { ["Content-Encoding"] = "gzip", ["Content-Type"] = "text/plain" }, bytes
      elseif req.path == "/part" then
        return 200, { ["Content-Type"] = "text/html" }, "part"
      end
      return 200, { ["Content-Type"] = "text/html", ["Last-Modified"] = "Sun, 06 Nov 1994 08:49:37 GMT" },
        '[<!--# include virtual="/part" -->]'
    end)
    local gw = start.proxy(o.port, [[
      route "/ssi"  { ssi = { silent = true } },
      route "/zip"  { gunzip = true },
      route "/late" { expires = "modified 1h" },
    ]])
    assert.equal("[part]", client.get(gw.port, "/ssi").body)
    assert.equal("plain text", client.get(gw.port, "/zip").body)
    assert.equal("Sun, 06 Nov 1994 09:49:37 GMT", client.get(gw.port, "/late").headers:get("Expires"))
  end))
end)

--- charset, source_charset, charset_map, gunzip and gzip_static in nginx syntax.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")
local tmp = require("spec.support.tmp")

local maps = [[
  charset_map koi8-r utf-8 { C1 D0B0; C2 D0B1; A4 E282AC; }
  charset_map A B { 58 59; F1 E1; }
]]

local function type_of(res)
  return res.headers:get("Content-Type")
end

describe("charset", function()
  it("is named in the types that it is for", run(function()
    local gw = start([[
      server { listen 127.0.0.1:0; charset utf-8;
        location / { return 200 text; default_type text/plain; }
        location /json { return 200 text; default_type application/json; }
        location /types { charset_types application/json; return 200 text; default_type application/json; }
        location /any { charset_types *; return 200 text; default_type image/png; }
        location /off { charset off; return 200 text; default_type text/plain; }
        location /var { charset $arg_c; return 200 text; default_type text/plain; }
        location /moved { return 301 /x; }
        location /gone { return 410; } }
    ]])
    assert.equal("text/plain; charset=utf-8", type_of(client.get(gw.port, "/")))
    assert.equal("text/plain; charset=utf-8", type_of(client.call(gw.port, "HEAD", "/")))
    assert.equal("application/json", type_of(client.get(gw.port, "/json")))
    assert.equal("application/json; charset=utf-8", type_of(client.get(gw.port, "/types")))
    assert.equal("image/png; charset=utf-8", type_of(client.get(gw.port, "/any")))
    assert.equal("text/plain", type_of(client.get(gw.port, "/off")))
    assert.equal("text/plain; charset=x-1", type_of(client.get(gw.port, "/var?c=x-1")))
    assert.equal("text/plain", type_of(client.get(gw.port, "/var")))
    assert.equal("text/html", type_of(client.get(gw.port, "/moved")))
    assert.equal("text/html; charset=utf-8", type_of(client.get(gw.port, "/gone")))
  end))

  local function recoding(upstream)
    return start(maps .. ([[
      server { listen 127.0.0.1:0;
        location / { charset utf-8; source_charset koi8-r; proxy_pass %s; }
        location /back/ { charset koi8-r; source_charset utf-8; proxy_pass %s; }
        location /bytes/ { charset B; source_charset A; proxy_pass %s; }
        location /over/ { charset A; override_charset on; proxy_pass %s; }
        location /own/ { charset A; proxy_pass %s; } }
    ]]):gsub("%%s", "http://127.0.0.1:" .. upstream.port .. "/"))
  end

  it("recodes texts of another one", run(function()
    local o = origin.start(function(req, res)
      local text = { ["/"] = "a\xC1\xC2\xA4\xFF<", ["/b"] = "a\xD0\xB0\xE2\x82\xAC\xE2\x82\xAD\xFF", ["/x"] = "aXY\xF1\xF2" }
      res:raw("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nETag: \"e\"\r\nTransfer-Encoding: chunked\r\n\r\n")
      for byte in text[req.path]:gmatch(".") do -- characters come in pieces
        res:raw("1\r\n" .. byte .. "\r\n")
      end
      res:raw("0\r\n\r\n")
    end)
    local gw = recoding(o)
    local res = client.get(gw.port, "/")
    assert.equal("a\xD0\xB0\xD0\xB1\xE2\x82\xAC?<", res.body)
    assert.equal("text/html; charset=utf-8", type_of(res))
    assert.equal('W/"e"', res.headers:get("ETag"))
    res = client.get(gw.port, "/back/b")
    assert.equal("a\xC1\xA4&#8365;?", res.body)
    assert.equal("text/html; charset=koi8-r", type_of(res))
    res = client.get(gw.port, "/bytes/x")
    assert.equal("aYY\xE1?", res.body)
    assert.equal('"e"', res.headers:get("ETag"))
  end))

  it("leaves what names its own, unless told otherwise; the upstream may ask for one", run(function()
    local o = origin.start(function(req, res)
      local more = req.path == "/asks" and "X-Accel-Charset: a\r\n" or ""
      local coding = req.path == "/packed" and "Content-Encoding: gzip\r\n" or ""
      res:raw("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=\"b\"; q=1\r\n" .. more .. coding .. "Content-Length: 3\r\n\r\nYY\xE1")
    end)
    local gw = recoding(o)
    local res = client.get(gw.port, "/own/")
    assert.equal("YY\xE1", res.body)
    assert.equal('text/html; charset="b"; q=1', type_of(res))
    res = client.get(gw.port, "/over/")
    assert.equal("XX\xF1", res.body)
    assert.equal("text/html; charset=A", type_of(res))
    assert.equal("XX\xF1", client.get(gw.port, "/own/asks").body)
    assert.equal("YY\xE1", client.get(gw.port, "/over/packed").body)
  end))

  it("recodes large files", run(function()
    local dir = tmp.dir()
    tmp.write(dir, "a.html", ("\xC1X"):rep(100000))
    local gw = start(maps .. ("server { listen 127.0.0.1:0; root %s; charset utf-8; source_charset koi8-r; types { text/html html; } }")
      :format(dir))
    assert.is_true(client.get(gw.port, "/a.html").body == ("\xD0\xB0X"):rep(100000))
  end))

  it("needs maps that make sense", run(function()
    local function refused(text)
      local done = gateway.exec("events {}\nhttp { " .. text .. " server { listen 127.0.0.1:0; } }\n",
        { name = "nginx.conf", args = { "-t", "-c", "{conf}", "-e", "stderr" } })
      assert.equal(1, done.status)
      return done:stderr()
    end
    assert.matches('no "charset_map" between the charsets "b" and "a"', refused("charset a; source_charset b;"), 1, true)
    assert.matches('"charset_map" between the same charsets', refused("charset_map a A { }"), 1, true)
    assert.matches('duplicate "charset_map" between "b" and "a"', refused("charset_map a b { } charset_map b a { }"), 1, true)
    assert.matches('invalid value "G1"', refused("charset_map a b { G1 00; }"), 1, true)
    assert.matches('invalid value "D0"', refused("charset_map a utf-8 { C1 D0; }"), 1, true)
    assert.matches("invalid parameters number", refused("charset_map a b { 00 01 02; }"), 1, true)
  end))
end)

describe("gzip", function()
  it("says how much it saved", run(function()
    local dir = tmp.dir()
    tmp.write(dir, "a.html", ("text"):rep(10000))
    local gw = start(([[
      log_format r "$gzip_ratio";
      server { listen 127.0.0.1:0; root %s; types { text/html html; } gzip on; access_log %s/log r; }
    ]]):format(dir, dir))
    client.get(gw.port, "/a.html")
    local packed = client.get(gw.port, "/a.html", { ["Accept-Encoding"] = "gzip" }).body
    assert.equal(0, gw:stop())
    local ratio = tmp.read(dir .. "/log"):match("^%-\n(%d+%.%d%d)\n$")
    assert.is_true(math.abs(40000 / #packed - tonumber(ratio)) < 0.02, ratio)
  end))
end)

describe("files that lie there compressed", function()
  it("are sent so, unpacked for others, and in includes", run(function()
    local dir = tmp.dir()
    tmp.write(dir, "t", ("text "):rep(20))
    os.execute(("gzip -9n '%s/t'"):format(dir))
    tmp.write(dir, "i.html", '[<!--#include virtual="/t" -->]')
    local gw = start(([[
      server { listen 127.0.0.1:0; root %s; gzip_static always; gunzip on; gzip_vary on; default_type text/plain;
        location /i.html { ssi on; default_type text/html; gzip_static off; } }
    ]]):format(dir))
    local packed = client.get(gw.port, "/t", { ["Accept-Encoding"] = "gzip" })
    assert.equal("gzip", packed.headers:get("Content-Encoding"))
    assert.equal("\31\139", packed.body:sub(1, 2))
    local head = client.call(gw.port, "HEAD", "/t")
    assert.is_nil(head.headers:get("Content-Encoding"))
    assert.is_nil(head.headers:get("Content-Length"))
    assert.equal("Accept-Encoding", head.headers:get("Vary"))
    assert.equal(("text "):rep(20), client.get(gw.port, "/t").body)
    assert.equal("[" .. ("text "):rep(20) .. "]", client.get(gw.port, "/i.html", { ["Accept-Encoding"] = "gzip" }).body)
  end))
end)

--- sub_filter and its kin in nginx syntax.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")
local tmp = require("spec.support.tmp")

--- The answer to a page that comes from the upstream byte by byte.
local function filtered(directives, text, head)
  local o = origin.start(function(_, res)
    res:raw("HTTP/1.1 200 OK\r\n" .. (head or "Content-Type: text/html\r\n") .. "Transfer-Encoding: chunked\r\n\r\n")
    for byte in text:gmatch(".") do
      res:raw("1\r\n" .. byte .. "\r\n")
    end
    res:raw("0\r\n\r\n")
  end)
  local gw = start(("server { listen 127.0.0.1:0; location / { proxy_pass http://127.0.0.1:%d; %s } }"):format(o.port, directives))
  return client.get(gw.port, "/x?a=Two&b=2")
end

describe("sub_filter", function()
  it("replaces the first text that fits, in any case, wherever pieces end", run(function()
    assert.equal("a [x] b one", filtered("sub_filter one [x];", "a ONE b one").body)
    assert.equal("a [x] b [x]", filtered("sub_filter one [x]; sub_filter_once off;", "a ONE b one").body)
    assert.equal("aaX", filtered("sub_filter aab X;", "aaaab").body)
    assert.equal("1-2-aab-a", filtered("sub_filter ab 1; sub_filter aab 2;", "AB-aab-aab-a").body)
    assert.equal("1-2-2-a", filtered("sub_filter ab 1; sub_filter aab 2; sub_filter ab 3; sub_filter_once off;", "ab-aab-aab-a").body)
    assert.equal("ends on", filtered("sub_filter one x;", "ends on").body)
    assert.equal("", filtered("sub_filter one '';", "one").body)
  end))

  it("knows variables on both sides", run(function()
    assert.equal("1 [2 two] 3", filtered("sub_filter $arg_a '[$arg_b two]'; sub_filter '$arg_none' never;", "1 TWO 3").body)
  end))

  it("looks at texts of its types only", run(function()
    local plain = "Content-Type: text/plain\r\n"
    assert.equal("one", filtered("sub_filter one x;", "one", plain).body)
    assert.equal("x", filtered("sub_filter one x; sub_filter_types text/plain;", "one", plain).body)
    assert.equal("x", filtered("sub_filter one x; sub_filter_types *;", "one", "X: y\r\n").body)
    assert.equal("one", filtered("sub_filter one x;", "one", "Content-Type: text/html\r\nContent-Encoding: br\r\n").body)
  end))

  it("tells that the text is another", run(function()
    local head = "Content-Type: text/html\r\nLast-Modified: Thu, 01 Jan 1970 00:00:01 GMT\r\nETag: \"e\"\r\n"
    local res = filtered("sub_filter one x;", "one", head)
    assert.is_nil(res.headers:get("Last-Modified"))
    assert.is_nil(res.headers:get("ETag"))
    res = filtered("sub_filter one x; sub_filter_last_modified on;", "one", head)
    assert.equal("Thu, 01 Jan 1970 00:00:01 GMT", res.headers:get("Last-Modified"))
    assert.equal('W/"e"', res.headers:get("ETag"))
  end))

  it("works on large files, before includes and compression", run(function()
    local dir = tmp.dir()
    tmp.write(dir, "a.html", ("0123456789one"):rep(100000))
    tmp.write(dir, "b.html", 'one<!--#include virtual="/c.html" -->')
    tmp.write(dir, "c.html", "-one")
    local gw = start(([[
      server { listen 127.0.0.1:0; root %s; types { text/html html; } ssi on; gzip on;
        sub_filter_once off; sub_filter one 1; }
    ]]):format(dir))
    assert.is_true(client.get(gw.port, "/a.html").body == ("01234567891"):rep(100000))
    assert.equal("1-1", client.get(gw.port, "/b.html").body)
    assert.equal("gzip", client.get(gw.port, "/a.html", { ["Accept-Encoding"] = "gzip" }).headers:get("Content-Encoding"))
    local head = client.call(gw.port, "HEAD", "/a.html")
    assert.is_nil(head.headers:get("Content-Length"))
  end))
end)

--- add_trailer in nginx syntax.
local client = require("spec.support.client")
local h2 = require("spec.support.h2")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")

describe("add_trailer", function()
  local gw

  setup(run.setup(function()
    local o = origin.start(function(req, res)
      if req.path == "/length" then
        return 200, nil, "body"
      end
      res:chunked(200)
      res:chunk("body")
      res:last({ ["X-Theirs"] = "1" })
    end)
    gw = start(([[
      add_trailer X-Host $host; add_trailer X-Seen $sent_trailer_x_host; add_trailer X-None ""; add_trailer X-Always $status always;
      server { listen 127.0.0.1:0; http2 on;
        location / { return 200 "text"; }
        location /empty { return 200 ""; }
        location /none { return 404 "none"; }
        location /204 { return 204; }
        location /whole { chunked_transfer_encoding off; return 200 "text"; }
        location /other { add_trailer X-Other 1; add_trailer X-Other 2; add_header X-Sent "$sent_trailer_x_other."; return 200 "text"; }
        location /merge { add_trailer_inherit merge; add_trailer X-Own 1; return 200 "text"; }
        location /up { proxy_pass http://127.0.0.1:%d; proxy_pass_trailers on; }
        location /length { proxy_pass http://127.0.0.1:%d; add_trailer X-Length $upstream_response_length; } }]])
      :format(o.port, o.port))
  end))
  teardown(run.teardown)

  it("puts fields behind the body, evaluated when it is over", run(function()
    local res = client.get(gw.port, "/")
    assert.equal("text", res.body)
    assert.same({ 4 }, res.chunks)
    assert.is_nil(res.headers:get("Content-Length"))
    assert.equal("localhost", res.trailers:get("X-Host"))
    assert.equal("localhost", res.trailers:get("X-Seen"))
    assert.equal("200", res.trailers:get("X-Always"))
    assert.is_nil(res.trailers:get("X-None"))
    assert.equal("4", client.get(gw.port, "/length").trailers:get("X-Length"))
    assert.equal("localhost", client.get(gw.port, "/empty").trailers:get("X-Host"))
  end))

  it("holds for usual statuses, with always for all", run(function()
    local res = client.get(gw.port, "/none")
    assert.is_nil(res.trailers:get("X-Host"))
    assert.equal("404", res.trailers:get("X-Always"))
  end))

  it("stays silent where nothing can follow the body", run(function()
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    local raw = c:rest()
    assert.is_truthy(raw:find("Content-Length: 4\r\n", 1, true))
    assert.is_nil(raw:find("X-Host", 1, true))
    assert.equal("4", client.get(gw.port, "/whole").headers:get("Content-Length"))
    assert.is_nil(client.get(gw.port, "/204").trailers)
    assert.equal("4", client.connect(gw.port):call("HEAD", "/").headers:get("Content-Length"))
  end))

  it("is replaced by a block's own, or merged with them", run(function()
    local res = client.get(gw.port, "/other")
    assert.same({ "1", "2" }, res.trailers:all("X-Other"))
    assert.is_nil(res.trailers:get("X-Host"))
    assert.equal(".", res.headers:get("X-Sent"))
    res = client.get(gw.port, "/merge")
    assert.equal("1", res.trailers:get("X-Own"))
    assert.equal("localhost", res.trailers:get("X-Host"))
  end))

  it("comes after the upstream's", run(function()
    local res = client.get(gw.port, "/up")
    assert.equal("1", res.trailers:get("X-Theirs"))
    assert.equal("localhost", res.trailers:get("X-Host"))
  end))

  it("ends a stream of HTTP/2", run(function()
    local c = h2.connect(gw.port)
    local res = c:get("/")
    assert.equal("text", res.body)
    assert.equal("localhost", res.trailers["x-host"])
    assert.is_nil(res.headers["content-length"])
    res = c:get("/empty")
    assert.equal(0, res.frames)
    assert.equal("localhost", res.trailers["x-host"])
  end))
end)

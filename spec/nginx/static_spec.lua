--- Static files, headers and gzip in nginx syntax.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")

describe("nginx syntax", function()
  local gw, dir

  setup(run.setup(function()
    dir = tmp.dir()
    tmp.write(dir, "index.html", "home")
    tmp.write(dir, "page.html", ("x"):rep(1000))
    tmp.write(dir, "d/x.dat", "dat")
    tmp.write(dir, "d/first.html", "first")
    tmp.write(dir, "img/a.png", "png")
    gw = gateway.start(([[
      daemon off; user root; pid DIR/pid; error_log stderr info;
      events {}
      http {
        root DIR;
        types { text/html html; application/x-dat dat; }
        add_header X-Server http;
        server {
          listen 127.0.0.1:0;
          location / { try_files $uri $uri/ @last; }
          location @last { root DIR/d; try_files /x.dat =404; add_header X-Named yes; }
          location /alias/ { alias DIR/d/; index none.html first.html; }
          location ~ ^/re/(.+)$ { alias DIR/img/$1.png; }
          location /code { try_files /none =410; }
          location /dated { alias DIR/page.html; expires 2h; add_header X-Own $uri always; }
          location /plain { alias DIR/page.html; etag off; max_ranges 0; add_header ETag ""; }
          location /zip { alias DIR/page.html; gzip on; gzip_vary on; gzip_proxied no_etag; default_type text/html; }
        }
      }
    ]]):gsub("DIR", dir), { name = "nginx.conf", listeners = 1 })
  end))
  teardown(run.teardown)

  local function get(path, fields)
    return client.get(gw.port, path, fields)
  end

  it("serves root, index and a named route that tries", run(function()
    assert.equal("home", get("/").body)
    local res = get("/nowhere")
    assert.equal("dat", res.body)
    assert.equal("yes", res.headers:get("X-Named"))
    assert.is_nil(res.headers:get("X-Server"))
    assert.equal("http", get("/page.html").headers:get("X-Server"))
  end))

  it("sends folders to their slash and forbids to list them", run(function()
    assert.equal(301, get("/alias/../d").status)
    assert.equal("first", get("/alias/").body)
    assert.equal(403, get("/img/").status)
  end))

  it("puts captures into alias", run(function()
    assert.equal("png", get("/re/a").body)
    assert.equal(404, get("/re/b").status)
    assert.equal(400, get("/re/..%2f..%2fsecret").status)
  end))

  it("answers with the code of try_files", run(function()
    assert.equal(410, get("/code").status)
  end))

  it("keeps add_header without always to usual statuses", run(function()
    assert.is_nil(get("/img/none").headers:get("X-Server"))
    local res = get("/dated")
    assert.equal("/dated", res.headers:get("X-Own"))
    assert.equal("max-age=7200", res.headers:get("Cache-Control"))
    assert.is_nil(res.headers:get("X-Server"))
  end))

  it("switches ETag and ranges off", run(function()
    local res = get("/plain", { Range = "bytes=0-1" })
    assert.equal(200, res.status)
    assert.is_nil(res.headers:get("ETag"))
    assert.is_nil(res.headers:get("Accept-Ranges"))
  end))

  it("reads If-Modified-Since as the very date", run(function()
    local modified = get("/page.html").headers:get("Last-Modified")
    assert.equal(304, get("/page.html", { ["If-Modified-Since"] = modified }).status)
    assert.equal(200, get("/page.html", { ["If-Modified-Since"] = "Fri, 01 Jan 2100 00:00:00 GMT" }).status)
  end))

  it("compresses by gzip's rules", run(function()
    local res = get("/zip", { ["Accept-Encoding"] = "gzip" })
    assert.equal("gzip", res.headers:get("Content-Encoding"))
    assert.equal("Accept-Encoding", res.headers:get("Vary"))
    assert.is_nil(get("/zip", { ["Accept-Encoding"] = "*" }).headers:get("Content-Encoding"))
    assert.is_nil(get("/zip", { ["Accept-Encoding"] = "gzip", Via = "1.1 p" }).headers:get("Content-Encoding"))
  end))
end)

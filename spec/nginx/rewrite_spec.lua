--- rewrite, if, set, return, break; internal and named locations.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")

local function server(lines)
  return "server { listen 127.0.0.1:0; server_name localhost; " .. lines .. " }"
end

local function body(gw, target, headers)
  return client.get(gw.port, target, headers).body
end

local function location(gw, target)
  local res = client.get(gw.port, target)
  return res.headers:get("Location"), res.status
end

describe("rewrite", function()
  local gw

  setup(run.setup(function()
    gw = start(server([[
      location /last { rewrite ^/last/(.*)$ /shown/$1 last; return 500; }
      location /shown { return 200 "$uri|$args"; }
      location /add { rewrite ^ /shown?a=1 last; }
      location /drop { rewrite ^ /shown?a=1? last; }
      location /esc { rewrite ^/esc/(.*)$ /shown?u=$1? last; }
      location /on { rewrite ^/on/(.*)$ /$1; return 200 "$uri"; }
      location /away { rewrite ^/away/(.*)$ http://example.com/$1; }
      location /split { rewrite ^/split/((?s).*) http://example.com/$1; }
      location /perm { rewrite ^ /x permanent; }
      location /none { rewrite ^/never$ /x last; return 200 none; }
      location /loop { rewrite ^ /loop/ last; }
      location /named { rewrite ^/named/(?<rest>.*)$ /shown/$rest last; }
    ]]))
  end))
  teardown(run.teardown)

  it("goes on at the location of the new path with last", function()
    assert.equal("/shown/a b|q=1", body(gw, "/last/a%20b?q=1"))
    assert.equal("/shown/x|", body(gw, "/named/x"))
  end)

  it("appends the arguments unless the replacement ends in a question mark", function()
    assert.equal("/shown|a=1&b=2", body(gw, "/add?b=2"))
    assert.equal("/shown|a=1", body(gw, "/drop?b=2"))
  end)

  it("escapes captures that become arguments", function()
    assert.equal("/shown|u=a%26b%3D", (body(gw, "/esc/a%26b%3D"):gsub("=$", "%%3D")))
  end)

  it("goes on in the same location without a flag", function()
    assert.equal("/x", body(gw, "/on/x"))
    assert.equal("none", body(gw, "/none"))
  end)

  it("sends the client away", function()
    local to, status = location(gw, "/away/a?b=1")
    assert.equal("http://example.com/a?b=1", to)
    assert.equal(302, status)
    to, status = location(gw, "/perm")
    assert.equal(("http://localhost:%d/x"):format(gw.port), to)
    assert.equal(301, status)
  end)

  it("does not turn an escaped line end of the path into one", function()
    assert.equal("http://example.com/a%0D%0AX:1", (location(gw, "/split/a%0d%0aX:1")))
  end)

  it("gives up after ten rounds", function()
    assert.equal(500, client.get(gw.port, "/loop").status)
    gw:wait_log("rewrite or internal redirection cycle while processing")
  end)
end)

describe("if and set", function()
  local gw

  setup(run.setup(function()
    gw = start(server([[
      set $who server;
      if ($arg_early) { return 200 early; }
      location / {
        set $who $arg_w;
        if ($arg_a = 1) { set $who one; }
        if ($arg_b ~* ^(x)(?<tail>.*)) { set $who $1-$tail; }
        if ($arg_c !~ y) { return 200 "who:$who"; }
        return 200 "rest:$who";
      }
      location /zero { if ($arg_v) { return 200 yes; } return 200 no; }
      location /file { if (-f /etc/passwd) { set $f f; } if (!-d /etc/passwd) { set $f ${f}d; } if (-e /nowhere) { set $f x; }
        return 200 $f; }
      location /last_wins { if ($arg_a) { add_header X-In a; } if ($arg_b) { add_header X-In b; } return 204; }
      location /cover { set $http_foo mine; return 200 $http_foo; }
      location /plain { return 200 $http_foo; }
      location /args { set $args n=1; return 200 $args-$arg_n; }
    ]]))
  end))
  teardown(run.teardown)

  it("run in order", function()
    assert.equal("early", body(gw, "/?early=1"))
    assert.equal("who:w", body(gw, "/?w=w"))
    assert.equal("who:one", body(gw, "/?a=1"))
    assert.equal("who:X-12", body(gw, "/?b=X12"))
    assert.equal("rest:", body(gw, "/?c=y"))
  end)

  it("take 0 and nothing for false", function()
    assert.equal("no", body(gw, "/zero"))
    assert.equal("no", body(gw, "/zero?v=0"))
    assert.equal("yes", body(gw, "/zero?v=00"))
  end)

  it("look at files", function()
    assert.equal("fd", body(gw, "/file"))
  end)

  it("switch to the settings of the last block that holds", function()
    assert.equal("a", client.get(gw.port, "/last_wins?a=1").headers:get("X-In"))
    assert.equal("b", client.get(gw.port, "/last_wins?a=1&b=1").headers:get("X-In"))
  end)

  it("cover a variable of a family where it was set, and nowhere else", function()
    assert.equal("mine", body(gw, "/cover", { { "Foo", "client" } }))
    assert.equal("client", body(gw, "/plain", { { "Foo", "client" } }))
  end)

  it("may change the arguments", function()
    assert.equal("n=1-1", body(gw, "/args?x=2"))
  end)
end)

describe("return and internal", function()
  it("answer as they are told", run(function()
    local gw = start(server([[
      location /text { return 404 text; }
      location /url { return https://example.com$request_uri; }
      location /empty { return 204; }
      location /close { return 444; }
      location /in { internal; return 200 in; }
      location /to { rewrite ^ /in last; }
      location /type.html { return 200 x; }
    ]]))
    local res = client.get(gw.port, "/text")
    assert.equal(404, res.status)
    assert.equal("text", res.body)
    assert.equal("https://example.com/url?a", (location(gw, "/url?a")))
    assert.equal(204, client.get(gw.port, "/empty").status)
    assert.equal(404, client.get(gw.port, "/in").status)
    assert.equal("in", body(gw, "/to"))
    assert.equal("text/html", client.get(gw.port, "/type.html").headers:get("Content-Type"))
    local c = client.connect(gw.port)
    c:send("GET /close HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert.equal("", c:rest())
  end))

  it("keep the path of a break away from the URI of proxy_pass", run(function()
    local o = origin.start()
    local gw = start(server(([[ location /a { rewrite ^ /b break; proxy_pass http://127.0.0.1:%d/c; } ]]):format(o.port)))
    client.get(gw.port, "/a/x")
    assert.equal("/b", o:last().path)
  end))
end)

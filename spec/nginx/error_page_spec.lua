--- error_page: where the answer comes from, and with which status.
local client = require("spec.support.client")
local run = require("spec.support.run")
local start = require("spec.nginx.start")

describe("error_page", function()
  local gw

  setup(run.setup(function()
    gw = start([[ server { listen 127.0.0.1:0; server_name localhost;
      error_page 403 /server403;
      location /page { return 200 "page $args"; }
      location /server403 { return 200 "server"; }
      location /same { error_page 404 /page?x=1; return 404; }
      location /take { error_page 404 = /page; return 404; }
      location /code { error_page 404 =410 /page; return 404; }
      location /away { error_page 404 http://example.com/e; return 404; }
      location /named { error_page 404 = @n; return 404; }
      location @n { return 201 "named $uri"; }
      location /var { error_page 404 /page?$arg_v; return 404; }
      location /outer { return 403; }
      location /twice { error_page 404 /twice2; return 404; }
      location /twice2 { error_page 500 /page; return 500; }
      location /again { recursive_error_pages on; error_page 404 /again2; return 404; }
      location /again2 { recursive_error_pages on; error_page 500 = /page; return 500; }
      location /post { error_page 405 = /origin; return 405; }
      location /origin { return 200 "$request_method $uri"; }
      location /dead { error_page 502 = /page; proxy_pass http://127.0.0.1:1; }
      location /missing { error_page 404 @nowhere; return 404; }
      location /moved { error_page 302 /page; return 302 http://example.com/; }
    } ]])
  end))
  teardown(run.teardown)

  local function get(target)
    local res = client.get(gw.port, target)
    return res.body, res.status, res.headers:get("Location")
  end

  it("keeps the status of the error unless it is told otherwise", function()
    assert.same({ "page x=1", 404 }, { get("/same") })
    assert.same({ "page ", 200 }, { get("/take") })
    assert.same({ "page ", 410 }, { get("/code") })
    assert.same({ "page 7", 404 }, { get("/var?v=7") })
  end)

  it("sends the client to a URL", function()
    local _, status, to = get("/away")
    assert.equal(302, status)
    assert.equal("http://example.com/e", to)
  end)

  it("goes on in a named location with the URI it had", function()
    assert.same({ "named /named", 201 }, { get("/named") })
    assert.equal(500, select(2, get("/missing")))
  end)

  it("is inherited by locations that say nothing", function()
    assert.same({ "server", 403 }, { get("/outer") })
  end)

  it("has no error page of its own unless it may", function()
    local text, status = get("/twice")
    assert.equal(500, status)
    assert.truthy(text:find("500 Internal Server Error", 1, true))
    assert.same({ "page ", 200 }, { get("/again") })
  end)

  it("is fetched with GET", function()
    local res = client.call(gw.port, "POST", "/post", nil, "x=1")
    assert.equal("GET /origin", res.body)
    assert.equal(200, res.status)
  end)

  it("takes the place of an upstream that cannot be reached", function()
    assert.same({ "page ", 200 }, { get("/dead") })
  end)

  it("keeps the Location of a redirect", function()
    assert.same({ "page ", 302, "http://example.com/" }, { get("/moved") })
  end)
end)

--- Server-side includes.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")

describe("a page with includes", function()
  local gw, pages

  setup(run.setup(function()
    pages = {}
    local o = origin.start(function(req)
      local path, query = req.target:match("^([^?]*)%??(.*)$")
      local page = pages[path]
      return page and 200 or 404, { ["Content-Type"] = "text/html", ["Last-Modified"] = "Thu, 01 Jan 1970 00:00:00 GMT" },
        page and page:gsub("QUERY", query) or "missing"
    end)
    gw = start(([[
      server { listen 127.0.0.1:0; location / { ssi on; proxy_pass http://127.0.0.1:%d; }
        location /off { proxy_pass http://127.0.0.1:%d; } }
    ]]):format(o.port, o.port))
  end))
  teardown(run.teardown)

  local function page(text, query)
    pages["/page"] = text
    local res = client.get(gw.port, "/page" .. (query or ""))
    assert.equal(200, res.status)
    assert.is_nil(res.headers:get("Last-Modified"))
    return res.body
  end

  it("has the answers to sub-requests in their places", run(function()
    pages["/a"], pages["/b"] = "[A QUERY]", '[B <!--#include virtual="/a?2" -->]'
    assert.equal("x[A 1]y[B [A 2]]z", page('x<!--#include virtual="/a?1" -->y<!--# include file="b" -->z'))
    assert.equal("xmissingz", page('x<!--#include virtual="/no" -->z'))
    assert.equal('<!--#include virtual="/a" -->', (function()
      pages["/off"] = '<!--#include virtual="/a" -->'
      return client.get(gw.port, "/off").body
    end)())
  end))

  it("echoes and sets variables, escaped as asked", run(function()
    local text = '<!--#echo var="arg_a" -->|<!--#echo var="arg_a" default="-" -->|<!--#set var="v" value="<$arg_b>" -->'
      .. '<!--#echo var="v" -->|<!--#echo var="v" encoding="none" -->|<!--#echo var="v" encoding="url" -->'
    assert.equal("(none)|-|&lt;b&gt;|<b>|%3Cb%3E", page(text, "?b=b"))
  end))

  it("follows conditions, also nested ones and those with a pattern", run(function()
    local text = '<!--#if expr="$arg_a" -->a<!--#if expr="$arg_a != 1" -->!<!--#else -->1<!--#endif -->'
      .. '<!--#elif expr="$arg_b = /^x(.)/" -->b<!--#echo var="1" --><!--#else -->c<!--#endif -->.'
    assert.equal("a1.", page(text, "?a=1"))
    assert.equal("a!.", page(text, "?a=2"))
    assert.equal("by.", page(text, "?b=xy"))
    assert.equal("c.", page(text))
  end))

  it("takes a block where an include is empty, and keeps one in a variable", run(function()
    pages["/empty"], pages["/a"] = "", "A"
    assert.equal("-stub-", page('<!--#block name="s" -->stub<!--#endblock -->-<!--#include virtual="/empty" stub="s" -->-'))
    assert.equal("-A", page('<!--#include virtual="/a" set="v" -->-<!--#echo var="v" -->'))
  end))

  it("tells of what is wrong and goes on", run(function()
    local said = "[an error occurred while processing the directive]"
    assert.equal("a" .. said .. "b<!-- c --><", page('a<!--#nonsense -->b<!-- c --><'))
    assert.equal("oops", page('<!--#config errmsg="oops" --><!--#include -->'))
    assert.equal("a" .. said, page('a<!--#include virtual="/../x" -->'))
    pages["/loop"] = '<!--#include virtual="/loop" -->'
    assert.equal(said, page('<!--#include virtual="/loop" -->'))
  end))
end)

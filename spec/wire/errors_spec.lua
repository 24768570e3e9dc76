--- `errors`: pages for statuses in the native dialect; `files.otherwise` and named routes.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")
local tmp = require("spec.support.tmp")

describe("errors", function()
  it("are answered with a path, a named route, a URL, a text or a file", run(function()
    local o = origin.start(function(req)
      return 200, nil, req.method .. " " .. req.path
    end)
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" {
        headers = { set = { ["X-Site"] = "yes" } },
        errors = {
          [403] = "/page", [404] = "@lost", [405] = { page = "/page", status = 200 },
          ["4xx"] = { body = "<p>$status</p>" }, [418] = "https://tea.example.com$request_uri", [410] = { file = "gone.html" },
        },
        route "/page"     { proxy = "http://127.0.0.1:%d" },
        route "@lost"     { reply = { status = 200, body = "lost: $request_uri" } },
        route "/fail/403" { files = { root = "none", otherwise = 403 } },
        route "/fail/410" { files = { root = "none", otherwise = 410 } },
        route "/fail/418" { files = { root = "none", otherwise = 418 } },
        route "/fail/429" { files = { root = "none", otherwise = 429 } },
        route "/fail/405" { files = { root = "none", otherwise = 405 } },
        route "/json/*" {
          errors = { [410] = { body = '{"status":$status}', type = "application/json" }, ["4xx"] = false },
          files = { root = "none", otherwise = 451 },
        },
        route "/json/410" {
          errors = { [410] = { body = '{"status":$status}', type = "application/json" } }, files = { root = "none", otherwise = 410 },
        },
      }
    ]]):format(o.port), { files = { ["gone.html"] = "<p>it costs $5</p>" } })
    local function get(path)
      local res = client.get(gw.port, path)
      return res.status, res.body, res.headers:get("Content-Type")
    end
    local status, body = get("/nowhere")
    assert.same({ 404, "lost: /nowhere" }, { status, body })
    assert.equal(200, (get("/fail/405")))
    assert.same({ 403, "GET /page" }, { get("/fail/403") })
    assert.same({ 410, "<p>it costs $5</p>", "text/html" }, { get("/fail/410") })
    assert.same({ 429, "<p>429</p>", "text/html" }, { get("/fail/429") })
    assert.same({ 410, '{"status":410}', "application/json" }, { get("/json/410") })
    assert.equal(451, (get("/json/451")))
    local away = client.get(gw.port, "/fail/418")
    assert.same({ 302, "https://tea.example.com/fail/418" }, { away.status, away.headers:get("Location") })
    assert.equal("yes", client.get(gw.port, "/fail/410").headers:get("X-Site"))
  end))

  it("of the upstream are its own unless they are intercepted", run(function()
    local o = origin.start(function()
      return 503, { ["X-Own"] = "1" }, "origin's"
    end)
    local gw = start.proxy(o.port, [[
      errors = { ["5xx"] = { body = "ours" }, [502] = "@later" },
      route "@later" { reply = { body = "later" } },
      route "/ours/*" { errors = { intercept = true } },
      route "/dead" { proxy = "http://127.0.0.1:1" },
    ]])
    assert.equal("origin's", client.get(gw.port, "/").body)
    local res = client.get(gw.port, "/ours/x")
    assert.same({ 503, "ours" }, { res.status, res.body })
    res = client.get(gw.port, "/dead")
    assert.same({ 502, "later" }, { res.status, res.body })
  end))

  it("reach a client that was refused", run(function()
    local gw = start.proxy(origin.start().port, [[
      access = { "deny 127.0.0.0/8", "allow all" }, errors = { [403] = { body = "no entry" } }, basic_auth = { users = "" },
    ]])
    local res = client.call(gw.port, "PUT", "/", nil, "x")
    assert.same({ 403, "no entry" }, { res.status, res.body })
  end))
end)

describe("errors and hooks", function()
  it("of a failing hook have pages, and the hooks of the page's route run", run(function()
    local o = origin.start(function(req)
      return 200, { ["X-Path"] = req.path }, "from " .. req.path
    end)
    local gw = start.proxy(o.port, [[
      errors = { [500] = "/page", [504] = "@late" }, headers = { add = { ["X-Seen"] = "$uri" } },
      route "/page"   { on = {
        access = function(req, ctx) ctx.n = (ctx.n or 0) + 1 end, header = function(req, res, ctx) res:set("X-N", ctx.n) end,
      } },
      route "/access" { on = { access = function(req, ctx) ctx.n = 41; error("no") end } },
      route "/header" { on = { header = function(req, res) error("no") end } },
      route "/waits"  { on = { access = function(req) mg.sleep(0.01); error("late") end } },
      route "@late"   { reply = { body = "late" } },
    ]])
    for _, path in ipairs { "/access", "/header", "/waits" } do
      for _ = 1, 3 do
        local res = client.get(gw.port, path)
        assert.same({ 500, "from /page", "/page" }, { res.status, res.body, res.headers:get("X-Seen") }, path)
        -- after a header hook that failed no other runs in the request
        assert.equal(({ ["/access"] = "42", ["/waits"] = "1" })[path], res.headers:get("X-N"))
      end
    end
  end))
end)

describe("files.otherwise", function()
  it("is a named route, a path or a status", run(function()
    local o = origin.start(function(req)
      return 200, nil, "app " .. req.target
    end)
    local dir = tmp.dir()
    tmp.write(dir, "public/a.txt", "file")
    tmp.write(dir, "public/x.foo", "foo")
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      site "*" {
        files = { root = "DIR/public", otherwise = "@app", types = { foo = "text/x-foo" } },
        route "@app" { proxy = "http://127.0.0.1:%d" },
        route "/spa/*" { files = { root = "DIR/public", try = { "$uri" }, otherwise = "/a.txt" } },
        route "/strict/*" { files = { root = "DIR/public", otherwise = 410 } },
      }
    ]]):gsub("DIR", dir):format(o.port))
    assert.equal("file", client.get(gw.port, "/a.txt").body)
    assert.equal("text/x-foo", client.get(gw.port, "/x.foo").headers:get("Content-Type"))
    assert.equal("app /b.txt?q", client.get(gw.port, "/b.txt?q").body)
    assert.equal("file", client.get(gw.port, "/spa/deep/link").body)
    assert.equal(410, client.get(gw.port, "/strict/b.txt").status)
    assert.equal("file", client.get(gw.port, "/strict/a.txt").body)
  end))
end)

--- Hooks of a real gateway in front of a real origin.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")

describe("hooks on the wire", function()
  local o, other, gw

  setup(run.setup(function()
    o = origin.start(function(req)
      return 200, { ["X-Origin"] = "one", ["Content-Type"] = "text/plain", ["X-Count"] = req.headers:get("X-Count") },
        req.body ~= "" and req.body or "origin one " .. req.target
    end)
    other = origin.start(function() return 200, { ["X-Origin"] = "two" }, "origin two" end)
    gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false }, shared = { counts = "64k" } }
      local one = upstream "one" { "127.0.0.1:%d" }
      local two = upstream "two" { "127.0.0.1:%d" }
      site "*" {
        proxy = one,
        route "/count" { on = { access = function(req)
          req.headers["X-Count"] = mg.shared.counts:incr("n", 1, 0)
        end } },
        route "/two" { on = { rewrite = function(req) req.upstream = two end } },
        route "/named" { on = { rewrite = function(req) req.upstream = "two" end } },
        route "/path" { on = { rewrite = function(req) req.path = "/a b/\195\164" req.query_string = "x=1" end } },
        route "/again" { on = { rewrite = function(req) return req:route("/two") end } },
        route "/body" { on = { access = function(req)
          local body, err = req:body(1000)
          if not body then return req:reply(413, err) end
          req:set_body(body:upper() .. "!")
        end } },
        route "/echo" { on = { access = function(req) return req:reply(200, { body = req:body(), q = req.query.q }) end } },
        route "/page" { on = { header = function(_, res)
          local text = res:body(100000)
          res.headers["X-Length"] = #text
          res:set_body("<" .. text .. ">")
        end } },
        route "/big" { on = { header = function(_, res)
          local text, err = res:body(10)
          res.headers["X-Why"] = not text and err or "none"
        end } },
        route "/over" { on = { header = function(req) return req:reply(503, "replaced") end } },
        route "/upper" { on = { body = function(_, chunk) mg.sleep(0.01) return chunk:upper() end } },
        route "/tail" { on = { body = function(_, chunk, last) if last then return chunk .. " tail" end end } },
        route "/pick" { on = { balance = function(attempt)
          attempt.upstream = two
          return attempt.peers[1]
        end } },
        route "/tasks" { on = { access = function(req)
          local a = mg.spawn(function() mg.sleep(0.05) return 1 end)
          local b = mg.spawn(function() mg.sleep(0.05) return 2 end)
          local _, x = a:wait()
          local _, y = b:wait()
          return req:reply(200, tostring(x + y))
        end } },
        route "/logged" { on = {
          access = function(req, ctx) ctx.t = "kept" end,
          log = function(req, res, ctx) mg.sleep(0.01) mg.log.warn("logged ", res.status, " ", ctx.t, " ", res.bytes_sent) end,
        } },
      }
    ]]):format(o.port, other.port))
  end))
  teardown(run.teardown)

  local function get(path, headers)
    return client.get(gw.port, path, headers)
  end

  it("count in shared memory and set fields for the upstream", run(function()
    local first = tonumber(get("/count").headers:get("X-Count"))
    assert.equal(first + 1, tonumber(get("/count").headers:get("X-Count")))
  end))

  it("choose another upstream, by handle, by name, per attempt", run(function()
    assert.equal("origin two", get("/two").body)
    assert.equal("origin two", get("/named").body)
    assert.equal("origin two", get("/pick").body)
  end))

  it("change path and query; the forwarded target is encoded again", run(function()
    assert.equal("origin one /a%20b/%C3%A4?x=1", get("/path?old=1").body)
  end))

  it("reroute", run(function()
    assert.equal("origin two", get("/again").body)
  end))

  it("read and replace the request body, slow clients included", run(function()
    assert.equal("HELLO!", client.call(gw.port, "POST", "/body", nil, "hello").body)
    assert.equal("ONETWO!", client.call(gw.port, "POST", "/body", nil, { "one", "two" }).body)
    assert.equal(413, client.call(gw.port, "POST", "/body", nil, ("x"):rep(1001)).status)
    local c = client.connect(gw.port)
    c:send("POST /echo?q=a%20b HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
    assert.is_true(c:is_quiet(0.1))
    c:send("def")
    local res = c:response()
    assert.truthy(res.body:find('"body":"abcdef"', 1, true))
    assert.truthy(res.body:find('"q":"a b"', 1, true))
    assert.equal(200, c:get("/two").status)
  end))

  it("take the whole response body and replace it", run(function()
    local res = get("/page")
    assert.equal("<origin one /page>", res.body)
    assert.equal("16", res.headers:get("X-Length"))
    assert.equal("one", res.headers:get("X-Origin"))
  end))

  it("let a body pass that is larger than they wanted", run(function()
    local res = get("/big")
    assert.equal("origin one /big", res.body)
    assert.equal("the body is larger than max", res.headers:get("X-Why"))
  end))

  it("replace the whole answer", run(function()
    local res = get("/over")
    assert.equal(503, res.status)
    assert.equal("replaced", res.body)
    assert.is_nil(res.headers:get("X-Origin"))
  end))

  it("transform a body piece by piece, waiting", run(function()
    assert.equal("ORIGIN ONE /UPPER", get("/upper").body)
    assert.equal("origin one /tail tail", get("/tail").body)
    local big = ("abcdefgh"):rep(100000)
    assert.is_true(client.call(gw.port, "POST", "/upper", nil, big).body == big:upper())
  end))

  it("run subtasks at once", run(function()
    assert.equal("3", get("/tasks").body)
  end))

  it("log after the answer", run(function()
    local from = gw:mark()
    get("/logged")
    gw:wait_log("logged 200 kept 18", from)
  end))

  it("survive clients that leave while a hook waits", run(function()
    for _ = 1, 20 do
      local c = client.connect(gw.port)
      c:send("GET /tasks HTTP/1.1\r\nHost: a\r\n\r\n")
      c:close()
    end
    assert.equal("3", get("/tasks").body)
  end))
end)

--- What a policy gets wrong must not break a connection: framing, splitting, state of other requests.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local wait = require("spec.support.wait")

describe("a hook", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start(function(req, res)
      if req.path == "/chunks" or req.path == "/chunks/read" then
        res:chunked(200)
        for _ = 1, 40 do
          res:chunk(("0123456789abcdef"):rep(1024))
        end
        res:last()
        return
      end
      if req.path:find("^/ws") then
        res:raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        return res:hang()
      end
      return 200, { ["X-Method"] = req.method, ["X-Body"] = #(req.body or "") }, "hello from the origin"
    end)
    gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
      local kept = {}
      local function header(fn) return { header = fn } end
      local function access(fn) return { access = fn } end
      site "*" {
        proxy = "http://127.0.0.1:%d",
        route "/s204" { on = header(function(_, res) res.status = 204 end) },
        route "/s304" { on = header(function(_, res) res.status = 304 end) },
        route "/s205" { on = header(function(_, res) res.status = 205 end) },
        route "/s101" { on = header(function(_, res)
          res.headers["X-Ok"] = tostring((pcall(function() res.status = 101 end)))
        end) },
        route "/reply/:status" { on = access(function(req)
          local ok, err = pcall(req.reply, req, tonumber(req.params.status), "text")
          if not ok then return req:reply(200, "refused") end
          return err
        end) },
        route "/method/head" { on = access(function(req) pcall(function() req.method = "HEAD" end) end) },
        route "/method/get" { on = access(function(req) pcall(function() req.method = "GET" end) end) },
        route "/method/patch" { on = access(function(req) req.method = "PATCH" end) },
        route "/set_body" { on = access(function(req) req:set_body("X") end) },
        route "/set_body/read" { on = access(function(req) req:body() req:set_body("X") end) },
        route "/set_body/empty" { on = access(function(req) req:set_body("") end) },
        route "/chunks/read" { on = header(function(_, res) res:body(1000) end) },
        route "/fields" { on = access(function(req)
          local out = {}
          for _, name in ipairs { "Transfer-Encoding", "content-length", "CONNECTION", "Upgrade", "TE", "Keep-Alive" } do
            out[#out + 1] = tostring((pcall(function() req.headers[name] = "x" end)))
          end
          for _, value in ipairs { "a\r\nb", "a\nb", "a\rb", "a\0b", "a\127b" } do
            out[#out + 1] = tostring((pcall(function() req.headers["X-A"] = value end)))
          end
          for _, name in ipairs { "a b", "a\r\nb", "", "a:b", "\195\164" } do
            out[#out + 1] = tostring((pcall(function() req.headers[name] = "x" end)))
          end
          return req:reply(200, table.concat(out, " "))
        end) },
        route "/split" { on = access(function(req)
          return req:redirect("https://x.example/" .. req:var("arg_to") .. "\r\nSet-Cookie: evil=1")
        end) },
        route "/paths" { on = access(function(req)
          local out = {}
          for _, path in ipairs { "/a\0b", "/a\r\nX: y", "/../x", "relative", "/a b", "" } do
            out[#out + 1] = tostring((pcall(function() req.path = path end)))
          end
          for _, q in ipairs { "a\r\nb", "a b", "a\0", "a#b", "\195\164" } do
            out[#out + 1] = tostring((pcall(function() req.query_string = q end)))
          end
          for _, m in ipairs { "GET /x HTTP/1.1\r\n", "", "CONNECT", "A B" } do
            out[#out + 1] = tostring((pcall(function() req.method = m end)))
          end
          return req:reply(200, table.concat(out, " "))
        end) },
        route "/ctx" { on = access(function(req, ctx)
          local before = tostring(ctx.secret) .. tostring(leak)
          ctx.secret = "of " .. (req.query.n or "?")
          return req:reply(200, before)
        end) },
        route "/kept" { on = access(function(req)
          kept.req = kept.req or req
          return req:reply(200, kept.req.query.n .. " " .. tostring(kept.req.headers["X-Secret"]))
        end) },
        route "/ws/reply" { on = header(function(req) return req:reply(403, "no tunnel") end) },
        route "/ws/body" { on = header(function(_, res) res:set_body("no tunnel") end) },
        route "/ws/status" { on = header(function(_, res) res.status = 200 end) },
        route "/ws/fails" { on = header(function() error("oops") end) },
        route "/say/*" { on = access(function(req)
          mg.log.warn("path ", req.path)
          return req:reply(200, "said")
        end) },
        route "/broken_path" { on = access(function(req) req.path = "/a\r\nX: y" end) },
      }
    ]]):format(o.port))
  end))
  teardown(run.teardown)
  before_each(function()
    o:clear()
  end)

  --- Two requests on one connection: the second answer must begin where the first ended.
  local function in_step(method, path, headers, body)
    local c = client.connect(gw.port)
    local first = c:call(method, path, headers, body)
    if first.headers:get("Connection") ~= "close" and not first.until_close then
      local second = c:call("GET", "/plain")
      assert.equal(200, second.status)
      assert.equal("hello from the origin", second.body)
    end
    return first
  end

  it("that makes a 204 or 304 of a response with a body keeps the connection in step", run(function()
    for _, status in ipairs({ 204, 304 }) do
      local res = in_step("GET", "/s" .. status)
      assert.equal(status, res.status)
      if status == 204 then
        assert.is_nil(res.headers:get("Content-Length"))
      end
    end
    in_step("GET", "/s205")
  end))

  it("cannot switch protocols", run(function()
    assert.equal("false", in_step("GET", "/s101").headers:get("X-Ok"))
    assert.equal("refused", in_step("GET", "/reply/101").body)
  end))

  it("cannot answer with a status that is none", run(function()
    for _, status in ipairs({ "0", "1", "99", "100", "199", "600", "999", "1000", "-1", "x" }) do
      assert.equal("refused", in_step("GET", "/reply/" .. status).body, status)
    end
    assert.equal(204, in_step("GET", "/reply/204").status)
    assert.equal(304, in_step("GET", "/reply/304").status)
  end))

  it("that changes the method does not change what the client waits for", run(function()
    local res = in_step("HEAD", "/method/get")
    assert.equal("", res.body)
    assert.equal("HEAD", o.requests[1].method)
    res = in_step("GET", "/method/head")
    assert.equal("hello from the origin", res.body)
    assert.equal("PATCH", in_step("POST", "/method/patch").headers:get("X-Method"))
  end))

  it("that replaces a body it did not read sends nothing else of it upstream", run(function()
    local evil = ("GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"):rep(3)
    for _, body in ipairs({ evil, { evil, "more" } }) do
      for path, sent in pairs({ ["/set_body"] = "X", ["/set_body/read"] = "X", ["/set_body/empty"] = "" }) do
        o:clear()
        assert.equal(200, in_step("POST", path, nil, body).status)
        assert.equal(sent, o.requests[1].body, path)
        for _, req in ipairs(o.requests) do
          assert.are_not.equal("/evil", req.path)
        end
      end
    end
  end))

  it("that begins a body it cannot have never lets the rest pass for the whole", run(function()
    local c = client.connect(gw.port)
    c:request("GET", "/chunks/read")
    local res = c:response({ may_fail = true })
    if res and res.status == 200 then
      assert.is_truthy(res.error or #res.body == 40 * 16384, "a body without its beginning looks complete")
    end
  end))

  it("cannot set what frames a message, nor break a line", run(function()
    assert.equal(("false "):rep(16):sub(1, -2), in_step("GET", "/fields").body)
  end))

  it("cannot split a response with a redirect", run(function()
    local res = in_step("GET", "/split?to=x")
    assert.is_nil(res.headers:get("Set-Cookie"))
    assert.equal(500, res.status)
  end))

  it("cannot put controls into path, query or method", run(function()
    local res = in_step("GET", "/paths") -- a line break in a path is fine: it is encoded on its way out
    assert.equal("false true false false true false false false false false false false false false false", res.body)
  end))

  it("that answers a switch of protocols itself opens no tunnel", run(function()
    local upgrade = { Connection = "Upgrade", Upgrade = "websocket", ["Sec-WebSocket-Key"] = "x", ["Sec-WebSocket-Version"] = "13" }
    for path, status in pairs({ reply = 403, body = 101, status = 200, fails = 500 }) do
      o:clear()
      local c = client.connect(gw.port)
      local res = c:call("GET", "/ws/" .. path, upgrade)
      assert.is_true(res.status == status or path == "body" and res.status == 502, path .. " " .. res.status)
      if res.status ~= 101 and res.headers:get("Connection") ~= "close" then
        assert.equal("hello from the origin", c:get("/plain").body)
      end
    end
  end))

  it("cannot be made to write lines into the log", run(function()
    in_step("GET", "/say/%0AFAKE%0D%0AFAKE%1b[31m")
    gw:wait_log("(path /say)")
    assert.is_nil(gw:stderr():find("[\r\27]"))
    assert.is_nil(gw:stderr():find("\nFAKE"))
  end))

  it("may have a line break in its path, which goes out encoded", run(function()
    in_step("GET", "/broken_path")
    assert.equal("/a%0D%0AX:%20y", o.requests[1].target)
  end))

  it("finds nothing of other requests in ctx", run(function()
    local c = client.connect(gw.port)
    for i = 1, 5 do
      assert.equal("nilnil", c:get("/ctx?n=" .. i).body)
    end
  end))

  it("that keeps req sees only the request it runs for", run(function()
    local c = client.connect(gw.port)
    assert.equal("1 one", c:get("/kept?n=1", { ["X-Secret"] = "one" }).body)
    assert.equal("2 nil", c:get("/kept?n=2").body)
  end))

  it("in all of these left the worker alive", run(function()
    wait.till(function()
      return client.get(gw.port, "/plain").status == 200
    end, "an answer")
    assert.is_nil(gw:stderr():find("worker %d+ died"))
  end))
end)

--- Hooks in the real engine: what they may do to a request, how they wait, what happens when they fail.
local test = require("moongate.test")
local mg = require("moongate")

describe("an access hook", function()
  it("goes on when it returns nothing", function()
    local r = test.hooks({ access = function() end }):run("access")
    assert.equal("next", r.verdict)
  end)

  it("answers with status, text and fields", function()
    local r = test.hooks({ access = function(req)
      return req:reply(403, "no\n", { ["X-Why"] = "test" })
    end }):run("access")
    assert.equal("answer", r.verdict)
    assert.equal(403, r.status)
    assert.equal("no\n", r.body)
    assert.equal("test", r.headers["x-why"])
    assert.equal("text/plain; charset=utf-8", r.headers["content-type"])
  end)

  it("sends a table as JSON", function()
    local r = test.hooks({ access = function(req)
      return req:reply(200, { a = 1 })
    end }):run("access")
    assert.equal('{"a":1}', r.body)
    assert.equal("application/json", r.headers["content-type"])
  end)

  it("reads header fields whatever their case", function()
    local seen
    test.hooks({ access = function(req)
      seen = { req.headers["x-key"], req.headers["USER-AGENT"], req.headers["absent"] }
    end }):run("access", { headers = { ["X-Key"] = "1", ["User-Agent"] = "ua" } })
    assert.same({ "1", "ua" }, seen)
  end)

  it("sets, adds and removes header fields", function()
    local r = test.hooks({ access = function(req)
      req.headers["X-Count"] = 5
      req.headers["X-Gone"] = nil
      req.headers["X-Two"] = { "a", "b" }
      req:add("X-Two", "c")
      req.headers["X-Half"] = 0.5
    end }):run("access", { headers = { ["X-Gone"] = "1" } })
    assert.equal("5", r.request_headers["x-count"])
    assert.equal("0.5", r.request_headers["x-half"])
    assert.is_nil(r.request_headers["x-gone"])
    local two = {}
    for _, f in ipairs(r.request_headers) do
      if f[1] == "X-Two" then
        two[#two + 1] = f[2]
      end
    end
    assert.same({ "a", "b", "c" }, two)
  end)

  it("refuses values with line breaks, naming the field", function()
    local message
    local r = test.hooks({ access = function(req)
      local ok, err = pcall(function()
        req.headers["X-A"] = "a\r\nSet-Cookie: b"
      end)
      message = not ok and err
    end }):run("access")
    assert.equal("next", r.verdict)
    assert.truthy(message:find("header 'X-A': the value contains a line break", 1, true))
    assert.is_nil(r.request_headers["x-a"])
  end)

  it("cannot touch the fields of the connection", function()
    local messages = {}
    test.hooks({ access = function(req)
      for _, name in ipairs { "Connection", "Transfer-Encoding", "content-length", "Upgrade", "TE" } do
        local ok, err = pcall(function()
          req.headers[name] = "x"
        end)
        messages[#messages + 1] = not ok and err:match("'([%w-]+)' belongs to the connection")
      end
    end }):run("access")
    assert.same({ "Connection", "Transfer-Encoding", "content-length", "Upgrade", "TE" }, messages)
  end)

  it("sees path, query, cookies and client", function()
    local s
    test.hooks({ access = function(req)
      s = { req.path, req.query_string, req.query.b, req.cookies.uid, req.client_ip, req.method, req.host, req.scheme }
    end }):run("access", {
      path = "/a%20b?x=1&b=c%26d", headers = { Cookie = "q=1; uid=7" }, client_ip = "192.0.2.7", method = "PUT", tls = true,
    })
    assert.same({ "/a b", "x=1&b=c%26d", "c&d", "7", "192.0.2.7", "PUT", "example.com", "https" }, s)
  end)

  it("changes path, query, method and upstream", function()
    local r = test.hooks({ rewrite = function(req)
      req.path = "/new"
      req.query_string = "z=1"
      req.method = "POST"
      req.upstream = "other"
    end }):run("rewrite", { path = "/old?a=b" })
    assert.same({ "/new", "z=1", "POST", "other" }, { r.path, r.query, r.method, r.upstream })
  end)

  it("names the mistake for wrong use", function()
    local errors = {}
    local function try(fn)
      local ok, err = pcall(fn)
      errors[#errors + 1] = not ok and err:gsub("^.-:%d+: ", "")
    end
    test.hooks({ access = function(req)
      try(function() req.pth = "/x" end)
      try(function() return req.nothing end)
      try(function() req.id = "x" end)
      try(function() req.reply(403) end)
      try(function() req:reply(99) end)
      try(function() req:reply(200, function() end) end)
      try(function() req.upstream = "nobody" end)
      try(function() req.path = "relative" end)
      try(function() req.query_string = "a b" end)
      try(function() req:redirect("/x", 200) end)
    end }):run("access")
    assert.same({
      "req has no field 'pth'", "req has no field 'nothing'", "req.id cannot be set",
      "call it as req:reply(...), with a colon", "a status is a whole number from 200 to 599, got 99",
      "the body must be a string or a table (sent as JSON), got function", "there is no upstream 'nobody'",
      "a path begins with '/', got 'relative'", "query_string: byte 2 must be percent-encoded",
      "a redirect has status 301, 302, 303, 307 or 308, got 200",
    }, errors)
  end)

  it("fails when it returns nonsense", function()
    local r = test.hooks({ access = function()
      return 42
    end }):run("access")
    assert.equal("SCRIPT", r.verdict)
  end)

  it("fails closed by default and open when its policy says so", function()
    local broken = { access = function()
      error("oops")
    end }
    assert.equal("SCRIPT", test.hooks(broken):run("access").verdict)
    local open = { name = "open", on_error = "continue", access = broken.access }
    local ran
    local r = test.hooks(open, { access = function()
      ran = true
    end }):run("access")
    assert.equal("next", r.verdict)
    assert.is_true(ran)
  end)

  it("takes back an answer when it fails after it", function()
    local r = test.hooks({ on_error = "continue", name = "x", access = function(req)
      req:reply(200, "done")
      error("oops")
    end }):run("access")
    assert.equal("next", r.verdict)
    assert.is_nil(r.body)
  end)

  it("ends the phase with its answer: later hooks do not run", function()
    local later
    local r = test.hooks({ access = function(req)
      return req:reply(204)
    end }, { access = function()
      later = true
    end }):run("access")
    assert.equal("answer", r.verdict)
    assert.is_nil(later)
  end)

  it("shares ctx with the phases that follow", function()
    local p = test.hooks({
      rewrite = function(_, ctx) ctx.a = 1 end,
      access = function(_, ctx) ctx.b = ctx.a + 1 end,
      log = function(_, _, ctx) ctx.seen = ctx.b end,
    })
    local x = p:request()
    x:run("rewrite")
    x:run("access")
    assert.equal("next", x:run("log"))
    local other
    local q = test.hooks({ access = function(_, ctx) other = next(ctx) end })
    q:run("access")
    assert.is_nil(other)
  end)

  it("asks for another route", function()
    local r = test.hooks({ rewrite = function(req)
      return req:route("/elsewhere")
    end }):run("rewrite")
    assert.equal("reroute", r.verdict)
    assert.equal("/elsewhere", r.path)
  end)

  it("cannot use functions of other phases", function()
    local err
    test.hooks({ header = function(req)
      local _, e = pcall(req.route, req, "/x")
      err = e
    end }):run("header")
    assert.truthy(err:find("route cannot be used here (phase header); it can in: rewrite, access", 1, true))
  end)

  it("is not fooled by req kept outside of a hook", function()
    local kept
    test.hooks({ access = function(req) kept = req end }):run("access")
    local ok, err = pcall(function() return kept.path end)
    assert.is_false(ok)
    assert.truthy(err:find("there is no request here", 1, true))
  end)
end)

describe("waiting", function()
  it("sleeps for virtual time", function()
    local before = mg.monotonic()
    local r = test.hooks({ access = function(req)
      mg.sleep(1.5)
      return req:reply(200, "slept")
    end }):run("access")
    assert.equal("answer", r.verdict)
    assert.is_true(mg.monotonic() - before >= 1.5)
  end)

  it("works through pcall, iterators and metamethods", function()
    local r = test.hooks({ access = function(req)
      local ok, v = pcall(function()
        mg.sleep(0.1)
        return "a"
      end)
      for x in (function() mg.sleep(0.1) return nil end) do
        error(x)
      end
      local t = setmetatable({}, { __index = function() mg.sleep(0.1) return "b" end })
      return req:reply(200, tostring(ok) .. v .. t.anything)
    end }):run("access")
    assert.equal("trueab", r.body)
  end)

  it("is refused inside a plain coroutine, with the reason", function()
    local err
    test.hooks({ access = function()
      local co = coroutine.wrap(function() mg.sleep(1) end)
      local _, e = pcall(co)
      err = e
    end }):run("access")
    assert.truthy(err:find("cannot wait inside a coroutine made with coroutine.create", 1, true))
  end)

  it("waits for the body of the request", function()
    local text = ("0123456789"):rep(5)
    local r = test.hooks({ access = function(req)
      return req:reply(200, req:body())
    end }):run("access", { method = "POST", body = text, slow = true })
    assert.equal(text, r.body)
  end)

  it("gives nil and why for a body that is too large", function()
    local body, err
    test.hooks({ access = function(req) body, err = req:body(10) end })
      :run("access", { method = "POST", body = ("x"):rep(11) })
    assert.is_nil(body)
    assert.equal("the body is larger than max", err)
  end)

  it("is cancelled with the request", function()
    local after
    local x = test.hooks({ access = function()
      mg.sleep(1000)
      after = true
    end }):request()
    assert.equal("waiting", x:run("access", 1))
    x:finish()
    test.advance(2000)
    assert.is_nil(after)
  end)
end)

describe("subtasks", function()
  it("run beside the hook and give their results", function()
    local before = mg.monotonic()
    local r = test.hooks({ access = function(req)
      local function work(n)
        mg.sleep(1)
        return n, n * 2
      end
      local a, b = mg.spawn(work, 1), mg.spawn(work, 2)
      local _, a1, a2 = a:wait()
      local _, b1, b2 = b:wait()
      return req:reply(200, table.concat({ a1, a2, b1, b2 }, " "))
    end }):run("access")
    assert.equal("1 2 2 4", r.body)
    assert.is_true(mg.monotonic() - before < 1.9)
  end)

  it("hand their error to who waits", function()
    local ok, err
    test.hooks({ access = function()
      ok, err = mg.spawn(function() error("inside") end):wait()
    end }):run("access")
    assert.is_false(ok)
    assert.truthy(err:find("inside", 1, true))
  end)

  it("time out, can be cancelled, and see the request", function()
    local results, path = {}, nil
    test.hooks({ access = function(req)
      local slow = mg.spawn(function() mg.sleep(100) end)
      results[1], results[2] = slow:wait(0.5)
      results[3] = slow:cancel()
      results[4], results[5] = slow:wait()
      mg.spawn(function() path = req.path end):wait()
    end }):run("access", { path = "/here" })
    assert.same({ nil, "timeout", true, false, "cancelled" }, { results[1], results[2], results[3], results[4], results[5] })
    assert.equal("/here", path)
  end)

  it("end with the request", function()
    local alive
    local x = test.hooks({ access = function()
      mg.spawn(function() mg.sleep(10) alive = true end)
    end }):request()
    x:run("access")
    x:finish()
    test.advance(20)
    assert.is_nil(alive)
  end)

  it("may run in the background, without a request", function()
    local done, err
    test.hooks({ access = function(req)
      mg.background(function(a)
        mg.sleep(1)
        local _, e = pcall(function() return req.path end)
        done, err = a, e
      end, "x")
    end }):request():run("access")
    test.advance(3)
    assert.equal("x", done)
    assert.truthy(err:find("there is no request here", 1, true))
  end)
end)

describe("a header hook", function()
  it("changes status and fields of the response", function()
    local r = test.hooks({ header = function(_, res)
      res.status = 201
      res.headers["X-Proxy"] = "gate"
      res.headers["Server"] = nil
    end }):run("header", { response = { status = 200, headers = { Server = "x", ETag = "e" } } })
    assert.equal(201, r.status)
    assert.equal("gate", r.headers["x-proxy"])
    assert.is_nil(r.headers.server)
    assert.equal("e", r.headers.etag)
  end)

  it("replaces the body and keeps the head", function()
    local r = test.hooks({ header = function(_, res) res:set_body("mine") end })
      :run("header", { response = { headers = { ETag = "e" } } })
    assert.equal("mine", r.body)
    assert.equal("e", r.headers.etag)
  end)

  it("replaces the whole answer", function()
    local r = test.hooks({ header = function(req) return req:reply(502, "bad") end })
      :run("header", { response = { headers = { ETag = "e" } } })
    assert.equal(502, r.status)
    assert.is_nil(r.headers.etag)
  end)
end)

describe("a body hook", function()
  local function through(fn, chunks, on_error)
    local x = test.hooks({ name = "b", on_error = on_error or "deny", body = fn }):request()
    x:respond(200, {})
    return x:pass(chunks)
  end

  it("passes, replaces and swallows pieces", function()
    assert.equal("abc", through(function() end, { "a", "b", "c" }))
    assert.equal("ABC", through(function(_, chunk) return chunk:upper() end, { "a", "b", "c" }))
    assert.equal("ac", through(function(_, chunk) if chunk == "b" then return "" end end, { "a", "b", "c" }))
  end)

  it("sees the end once and may add to it", function()
    local ends = 0
    local out = through(function(_, chunk, last)
      if last then
        ends = ends + 1
        return chunk .. "!"
      end
    end, { "a", "b" })
    assert.equal("ab!", out)
    assert.equal(1, ends)
  end)

  it("may wait: nothing is lost or reordered", function()
    local out = through(function(_, chunk)
      mg.sleep(0.1)
      return "<" .. chunk .. ">"
    end, { "a", "b", "c" })
    assert.equal("<a><b><c><>", out)
  end)

  it("collects a whole body", function()
    local parts = {}
    local out = through(function(_, chunk, last)
      parts[#parts + 1] = chunk
      return last and table.concat(parts):reverse() or ""
    end, { "ab", "cd" })
    assert.equal("dcba", out)
  end)

  it("that fails passes the piece when its policy says continue, else breaks the body", function()
    assert.equal("ab", through(function() error("x") end, { "a", "b" }, "continue"))
    local out, err = through(function() error("x") end, { "a", "b" })
    assert.is_nil(out)
    assert.equal("SCRIPT", err)
    out, err = through(function() return {} end, { "a" })
    assert.is_nil(out)
    assert.equal("SCRIPT", err)
  end)

  it("passes pieces larger than its own limit in parts", function()
    local seen = 0
    local big = ("x"):rep(200000)
    local out = through(function(_, chunk) seen = math.max(seen, #chunk) end, { big })
    assert.equal(big, out)
    assert.is_true(seen <= 65536)
  end)
end)

describe("a balance hook", function()
  it("names a peer by its result or by pick", function()
    assert.equal("10.0.0.1:1", test.hooks({ balance = function() return "10.0.0.1:1" end }):run("balance").peer)
    assert.equal("10.0.0.2:1", test.hooks({ balance = function(attempt) attempt:pick("10.0.0.2:1") end }):run("balance").peer)
  end)

  it("sees the peers and changes the group", function()
    local peers
    local r = test.hooks({ balance = function(attempt)
      peers = attempt.peers
      attempt.upstream = "other"
    end }):run("balance")
    assert.same({ "127.0.0.1:1" }, peers)
    assert.equal("other", r.upstream)
  end)
end)

describe("a whole request", function()
  it("is answered by a hook", function()
    local a = test.hooks({ access = function(req) mg.sleep(0.2) return req:reply(200, "hi") end }):fetch()
    assert.equal(200, a.status)
    assert.equal("hi", a.body)
  end)

  it("gets the error page when a hook denies by failing", function()
    local a = test.hooks({ access = function() error("x") end }):fetch()
    assert.equal(500, a.status)
  end)

  it("is answered once when the header hook fails", function()
    local a = test.hooks({ header = function() error("x") end }):fetch()
    assert.equal(500, a.status)
  end)

  it("runs header and body hooks over answers made here", function()
    local a = test.hooks({
      access = function(req) return req:reply(200, "text") end,
      header = function(_, res) res.headers["X-H"] = res.status end,
      body = function(_, chunk) return chunk:upper() end,
    }):fetch()
    assert.equal("TEXT", a.body)
    assert.equal("200", a.headers["x-h"])
  end)

  it("is logged after its end, by a hook that may wait", function()
    local status
    test.hooks({
      access = function(req) return req:reply(404) end,
      log = function(_, res) mg.sleep(0.1) status = res.status end,
    }):fetch()
    assert.equal(404, status)
  end)

  it("is routed anew, but not for ever", function()
    local n = 0
    local a = test.hooks({ rewrite = function(req)
      n = n + 1
      return req:route("/again")
    end }):fetch()
    assert.equal(500, a.status)
    assert.equal(11, n)
  end)
end)

--- Request smuggling end to end: whatever ambiguous bytes come, the origin sees at most the one request that was meant, never a
--- second one made of somebody's body, and a connection that lost its place is closed.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")
local wait = require("spec.support.wait")

local EVIL = "GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"

describe("an ambiguous request", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    gw = start.proxy(o.port)
  end))
  teardown(run.teardown)
  before_each(function()
    o:clear()
  end)

  --- Sends everything at once and reads all that comes; then every request the origin saw is looked at.
  local function play(bytes)
    local c = client.connect(gw.port)
    c:send(bytes)
    c:shutdown()
    local all = c:rest() or ""
    for _, req in ipairs(o.requests) do
      assert.are_not.equal("/evil", req.path)
      local _, frames = req.raw:gsub("\r\n[Cc]ontent%-[Ll]ength:", "")
      local _, codings = req.raw:gsub("\r\n[Tt]ransfer%-[Ee]ncoding:", "")
      assert.is_true(frames + codings <= 1, "two framing fields: " .. req.raw)
    end
    return all
  end

  local post = "POST / HTTP/1.1\r\nHost: a\r\n"
  local refused = {
    ["CL.TE"] = post .. "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE.CL"] = post .. "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE.TE, one obfuscated by a tab"] = post .. "Transfer-Encoding: chunked\r\nTransfer-Encoding:\tx\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE.TE, two fields"] = post .. "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE list that ends in another coding"] = post .. "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE with a parameter"] = post .. "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE with a vertical tab"] = post .. "Transfer-Encoding: \11chunked\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE in quotes"] = post .. 'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n' .. EVIL,
    ["TE empty"] = post .. "Transfer-Encoding:\r\n\r\n" .. EVIL,
    ["TE behind a space before the colon"] = post .. "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE behind a NUL in the name"] = post .. "Transfer-Encoding\0: chunked\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE in a folded line"] = post .. "X: 1\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE folded value"] = post .. "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" .. EVIL,
    ["TE in HTTP/1.0"] = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" .. EVIL,
    ["CL repeated"] = post .. "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" .. EVIL,
    ["CL differing"] = post .. "Content-Length: 0\r\nContent-Length: 31\r\n\r\n" .. EVIL,
    ["CL as a list"] = post .. "Content-Length: 0, 31\r\n\r\n" .. EVIL,
    ["CL negative"] = post .. "Content-Length: -1\r\n\r\n" .. EVIL,
    ["CL signed"] = post .. "Content-Length: +0\r\n\r\n" .. EVIL,
    ["CL hexadecimal"] = post .. "Content-Length: 0x0\r\n\r\n" .. EVIL,
    ["CL empty"] = post .. "Content-Length:\r\n\r\n" .. EVIL,
    ["CL beyond 64 bits"] = post .. "Content-Length: 18446744073709551616\r\n\r\n" .. EVIL,
    ["CL beyond 63 bits"] = post .. "Content-Length: 9223372036854775808\r\n\r\n" .. EVIL,
    ["CL with a space inside"] = post .. "Content-Length: 0 0\r\n\r\n" .. EVIL,
    ["CL with a non-breaking space"] = post .. "Content-Length: 0\160\r\n\r\n" .. EVIL,
    ["a bare LF in the head"] = "POST / HTTP/1.1\r\nHost: a\nContent-Length: 31\r\n\r\n" .. EVIL,
    ["a bare LF as the end of the head"] = post .. "Content-Length: 31\r\n\n" .. EVIL,
    ["a bare CR in a value"] = post .. "X: a\rTransfer-Encoding: chunked\r\n\r\n" .. EVIL,
    ["a bare CR as a line end"] = "POST / HTTP/1.1\rHost: a\r\n\r\n" .. EVIL,
    ["a NUL in the target"] = "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n" .. EVIL,
    ["a raw control in the target"] = "GET /a\1b HTTP/1.1\r\nHost: a\r\n\r\n" .. EVIL,
    ["a fragment in the target"] = "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n" .. EVIL,
    ["a target with a space"] = "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n" .. EVIL,
    ["two spaces in the request line"] = "GET  / HTTP/1.1\r\nHost: a\r\n\r\n" .. EVIL,
    ["a tab in the request line"] = "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n" .. EVIL,
    ["a space behind the version"] = "GET / HTTP/1.1 \r\nHost: a\r\n\r\n" .. EVIL,
    ["a line that is no field"] = "GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n" .. EVIL,
    ["an empty field name"] = "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n" .. EVIL,
    ["a field line before the request line's end"] = "GET / HTTP/1.1\r\n X: 1\r\nHost: a\r\n\r\n" .. EVIL,
    ["a field name of UTF-8"] = "GET / HTTP/1.1\r\nHost: a\r\nX\195\164: 1\r\n\r\n" .. EVIL,
    ["two Hosts"] = "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" .. EVIL,
    ["a Host with a user"] = "GET / HTTP/1.1\r\nHost: x@a\r\n\r\n" .. EVIL,
    ["a Host list"] = "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n" .. EVIL,
    ["a Host with a path"] = "GET / HTTP/1.1\r\nHost: a/../b\r\n\r\n" .. EVIL,
    ["an absolute target with a user"] = "GET http://x@a/ HTTP/1.1\r\nHost: a\r\n\r\n" .. EVIL,
    ["an absolute target without a host"] = "GET http:///x HTTP/1.1\r\nHost: a\r\n\r\n" .. EVIL,
    ["a method in lower case"] = "get / HTTP/1.1\r\nHost: a\r\n\r\n" .. EVIL,
  }
  for what, bytes in pairs(refused) do
    it("is refused and ends the connection: " .. what, run(function()
      local all = play(bytes)
      assert.truthy(all:find("^HTTP/1.1 [45]%d%d "), all:sub(1, 80))
      local _, answers = all:gsub("HTTP/1%.1 %d%d%d ", "")
      assert.equal(1, answers)
      assert.truthy(all:find("\r\nConnection: close\r\n", 1, true))
      assert.equal(0, #o.requests)
    end))
  end

  local chunked = post .. "Transfer-Encoding: chunked\r\n\r\n"
  local broken = {
    ["a chunk size with a sign"] = "+5\r\nhello\r\n0\r\n\r\n",
    ["a chunk size in 0x"] = "0x5\r\nhello\r\n0\r\n\r\n",
    ["a chunk size that overflows"] = "10000000000000005\r\nhello\r\n0\r\n\r\n",
    ["a chunk size beyond 63 bits"] = "8000000000000000\r\nhello\r\n0\r\n\r\n",
    ["a space before the chunk size"] = " 5\r\nhello\r\n0\r\n\r\n",
    ["a space behind the chunk size"] = "5 \r\nhello\r\n0\r\n\r\n",
    ["a chunk line that ends in LF"] = "5\nhello\r\n0\r\n\r\n",
    ["a bare LF in an extension"] = "5;a=b\nhello\r\n0\r\n\r\n",
    ["a bare CR in an extension"] = "5;a\rb\r\nhello\r\n0\r\n\r\n",
    ["a NUL in an extension"] = "5;a\0\r\nhello\r\n0\r\n\r\n",
    ["extensions without end"] = "5;" .. ("x"):rep(8192) .. "\r\nhello\r\n0\r\n\r\n",
    ["data longer than its chunk"] = "5\r\nhelloX\r\n0\r\n\r\n",
    ["chunk data ended by LF"] = "5\r\nhello\n0\r\n\r\n",
    ["a last chunk ended by LF"] = "5\r\nhello\r\n0\n\n",
    ["an empty chunk size"] = "\r\nhello\r\n0\r\n\r\n",
    ["a trailer that is no field"] = "0\r\nnonsense\r\n\r\n",
    ["a folded trailer"] = "0\r\nX: 1\r\n 2\r\n\r\n",
    ["trailers without end"] = "0\r\n" .. ("X-A: b\r\n"):rep(2000) .. "\r\n",
  }
  for what, body in pairs(broken) do
    it("with " .. what .. " never becomes a complete one", run(function()
      local all = play(chunked .. body .. EVIL)
      assert.truthy(all:find("^HTTP/1.1 4%d%d "), all:sub(1, 80))
      for _, req in ipairs(o.requests) do
        wait.till(function()
          return req.body or req.error
        end, "the origin's connection to end")
        assert.is_truthy(req.error, "the origin got a complete request")
      end
    end))
  end

  it("cannot bring framing, routing or addresses in trailers", run(function()
    local c = client.connect(gw.port)
    c:send(chunked .. "2\r\nab\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\nHost: evil\r\n"
      .. "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nAuthorization: x\r\nCookie: x\r\nX-Sum: 1\r\n\r\n")
    assert.equal(200, c:response().status)
    local trailers = o:last().trailers
    for _, name in ipairs({ "Content-Length", "Transfer-Encoding", "Host", "X-Forwarded-For", "X-Real-IP",
      "Authorization", "Cookie" }) do
      assert.is_nil(trailers:get(name), name)
    end
    assert.equal("1", trailers:get("X-Sum"))
  end))

  it("may not spell a field that the gateway knows with underscores", run(function()
    local c = client.connect(gw.port)
    c:send("GET / HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: 6.6.6.6\r\nX_Real-IP: 6.6.6.6\r\nContent_Length: 31\r\n"
      .. "Transfer_Encoding: chunked\r\nX_Own: 1\r\n\r\n")
    assert.equal(200, c:response().status)
    local raw = o:last().raw
    assert.is_nil(raw:find("6.6.6.6", 1, true))
    assert.is_nil(raw:find("Content_Length", 1, true))
    assert.is_nil(raw:find("Transfer_Encoding", 1, true))
    assert.truthy(raw:find("X_Own: 1", 1, true))
  end))

  it("has what Connection names taken out, but nothing the gateway relies on", run(function()
    local c = client.connect(gw.port)
    c:send("POST / HTTP/1.1\r\nHost: a\r\nConnection: Content-Length, Host, X-Forwarded-Host, X-Real-IP, Cookie, X-Own\r\n"
      .. "Cookie: k=v\r\nX-Own: 1\r\nContent-Length: 3\r\n\r\nabc")
    assert.equal(200, c:response().status)
    local req = o:last()
    assert.equal("abc", req.body)
    assert.equal("k=v", req.headers:get("Cookie"))
    assert.equal("127.0.0.1", req.headers:get("X-Real-IP"))
    assert.equal("a", req.headers:get("X-Forwarded-Host"))
    assert.is_nil(req.headers:get("X-Own"))
  end))

  it("with hundreds of names in Connection is refused", run(function()
    local names = {}
    for i = 1, 200 do
      names[i] = "x" .. i
    end
    local all = play("GET / HTTP/1.1\r\nHost: a\r\nConnection: " .. table.concat(names, ",") .. "\r\n\r\n")
    assert.truthy(all:find("^HTTP/1.1 400 "))
  end))
end)

describe("pipelined requests", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start(function(req)
      return 200, nil, req.target .. " " .. (req.body or "")
    end)
    gw = start.proxy(o.port, [[ body_limit = "1k",
      route "/fixed" { reply = { status = 200, body = "fixed" } },
      route "/to" { redirect = { to = "https://x.example/" } },
      route "/hook" { on = { access = function(req) return req:reply(403, "no") end } },
      route "/fails" { on = { access = function() error("oops") end } }, ]])
  end))
  teardown(run.teardown)
  before_each(function()
    o:clear()
  end)

  local evil_body = "GET /evil HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n"

  for _, path in ipairs({ "/fixed", "/to", "/hook", "/fails" }) do
    for what, framed in pairs({
      ["a length"] = ("Content-Length: %d\r\n\r\n%s"):format(#evil_body, evil_body),
      ["chunks"] = ("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"):format(#evil_body, evil_body),
    }) do
      it(("stay apart from the body that %s did not want, sent with %s"):format(path, what), run(function()
        local c = client.connect(gw.port)
        c:send(("POST %s HTTP/1.1\r\nHost: a\r\n%s"):format(path, framed) .. "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
        local first = c:response()
        local second = c:response({ may_fail = true })
        if first.headers:get("Connection") ~= "close" then
          assert.equal("/next ", second.body)
        end
        for _, req in ipairs(o.requests) do
          assert.equal("/next", req.target)
        end
      end))
    end
  end

  it("end with a body that is too large", run(function()
    local c = client.connect(gw.port)
    local long = evil_body:rep(20000)
    c:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " .. #long .. "\r\n\r\n" .. long)
    local res = c:response()
    assert.equal(413, res.status)
    assert.equal("close", res.headers:get("Connection"))
    assert.is_true(c:is_closed())
    assert.equal(0, #o.requests)
  end))

  it("go on behind a body that is too large, but small enough to be read away", run(function()
    local c = client.connect(gw.port)
    local long = evil_body:rep(40)
    c:send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " .. #long .. "\r\n\r\n" .. long
      .. "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal(413, c:response().status)
    assert.equal("/next ", c:response().body)
    assert.equal(1, #o.requests)
  end))

  it("end when Expect is answered with a final status and the body never announced", run(function()
    local c = client.connect(gw.port)
    c:send("POST /fixed HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: " .. #evil_body .. "\r\n\r\n")
    local res = c:response()
    assert.equal("fixed", res.body)
    assert.equal("close", res.headers:get("Connection"))
    c:send(evil_body)
    c:is_closed()
    assert.equal(0, #o.requests)
  end))

  it("in absolute form agree on the host everywhere", run(function()
    local seen
    local gw2 = start.proxy(o.port, [[ on = { access = function(req)
        return req:reply(200, req.host .. "|" .. tostring(req.headers["Host"]) .. "|" .. req:var("http_host") .. "|" .. req:var("host"))
      end }, ]])
    local c = client.connect(gw2.port)
    c:send("GET http://real.example/p HTTP/1.1\r\nHost: fake.example\r\n\r\n")
    seen = c:response().body
    assert.equal("real.example|real.example|real.example|real.example", seen)
  end))
end)

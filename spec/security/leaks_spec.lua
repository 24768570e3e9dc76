--- Objects are recycled: what one client sent must not show up for another, in answers or in logs.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

--- Every variable of the gateway, by name.
local function variables()
  local names = {}
  for line in io.lines("core/flow/var.def") do
    local kind, name = line:match("^%s*([VKP])%(([%w_]+),")
    if kind == "P" then
      names[#names + 1] = name .. (name:find("cookie") and "secret" or name:find("arg") and "token" or "x_secret")
    elseif kind then
      names[#names + 1] = name
    end
  end
  return names
end

describe("a recycled request", function()
  local o, gw, log

  setup(run.setup(function()
    o = origin.start(function(req)
      return 200, { ["X-Secret"] = req.headers:get("X-Secret"), ["Set-Cookie"] = req.headers:get("X-Secret") }, "body"
    end)
    local cert = certs.make("secret-name.example", "localhost")
    local line = {}
    for i, name in ipairs(variables()) do
      line[i] = name .. "=${" .. name .. "}"
    end
    gw = gateway.start(([[
      gateway { listen = { "127.0.0.2:0", "127.0.0.1:0 tls" }, workers = 1, http_redirect = false }
      local every = "%s"
      site "*" {
        tls = %q,
        log = { access = { path = "every.log", format = every } },
        headers = { set = { ["X-Every"] = every } },
        proxy = "http://127.0.0.1:%d",
        route "/s/:id" { },
        route "/fixed" { reply = { status = 200, body = every } },
        route "/hook" { on = { access = function(req, ctx)
          local seen = tostring(ctx.secret) .. tostring(req.headers["X-Secret"]) .. tostring(req.cookies.secret)
            .. tostring(req.query.token) .. tostring(req.params.id) .. tostring(req.query_string)
          ctx.secret = "S3CRET"
          return req:reply(200, seen)
        end } },
      }
    ]]):format(table.concat(line, " "), cert.dir, o.port), { listeners = 2 })
    log = gw.dir .. "/every.log"
  end))
  teardown(run.teardown)

  --- What is full of secrets, over TLS and plain, with and without a body, complete and aborted.
  local function poison()
    local fields = "Host: S3CRET.example\r\nX-Secret: S3CRET\r\nCookie: secret=S3CRET\r\nReferer: S3CRET\r\nUser-Agent: S3CRET\r\n"
      .. "Authorization: Basic UzNDUkVUOlMzQ1JFVA==\r\nContent-Type: S3CRET\r\nX-Forwarded-For: 6.6.6.6\r\n"
    for _, at in ipairs({ { "127.0.0.2:" .. gw.ports[1] }, { gw.ports[2], { tls = { name = "secret-name.example" } } } }) do
      for _, target in ipairs({ "/s/S3CRET?token=S3CRET", "/fixed?token=S3CRET", "/hook?token=S3CRET" }) do
        local c = client.connect(at[1], at[2])
        c:send("POST " .. target .. " HTTP/1.1\r\n" .. fields .. "Content-Length: 6\r\n\r\nS3CRET")
        assert.equal(200, c:response().status)
        c:send("POST " .. target .. " HTTP/1.1\r\n" .. fields .. "Content-Length: 60\r\n\r\nS3CRET")
        c:close()
      end
    end
  end

  local function clean(text, what)
    assert.is_string(text)
    for _, secret in ipairs({ "S3CRET", "s3cret", "secret%-name", "6%.6%.6%.6", "TLSv1" }) do
      assert.is_nil(text:find(secret), (what or "") .. ": " .. text)
    end
  end

  local function ask(bytes)
    local c = client.connect("127.0.0.2:" .. gw.ports[1])
    c:send(bytes)
    c:shutdown()
    return c:rest()
  end

  local innocent = {
    good = "GET /other HTTP/1.1\r\nHost: b\r\n\r\n",
    fixed = "GET /fixed HTTP/1.1\r\nHost: b\r\n\r\n",
    hook = "GET /hook HTTP/1.1\r\nHost: b\r\n\r\n",
    old = "GET /fixed HTTP/1.0\r\n\r\n",
    garbage = "\1\2\3\r\n\r\n",
    ["no host"] = "GET / HTTP/1.1\r\n\r\n",
    ["a bad target"] = "GET /%zz HTTP/1.1\r\nHost: b\r\n\r\n",
    ["half a head"] = "GET /x",
    ["a long target"] = "GET /" .. ("x"):rep(20000) .. " HTTP/1.1\r\nHost: b\r\n\r\n",
    ["a large head"] = "GET / HTTP/1.1\r\nHost: b\r\nX: " .. ("x"):rep(70000) .. "\r\n\r\n",
    ["a bad chunk"] = "POST /s/1 HTTP/1.1\r\nHost: b\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    connect = "CONNECT b:443 HTTP/1.1\r\nHost: b\r\n\r\n",
  }
  for what, bytes in pairs(innocent) do
    it("shows nothing of those before to " .. what, run(function()
      for _ = 1, 3 do
        poison()
        clean(ask(bytes), what)
      end
    end))
  end

  it("leaves nothing in the log lines of others, nor controls", run(function()
    poison()
    wait.till(function()
      return (tmp.read(log) or ""):find("S3CRET")
    end, "the log")
    for _, bytes in pairs(innocent) do
      ask(bytes)
    end
    ask("GET /mark HTTP/1.1\r\nHost: b\r\nUser-Agent: a\"b\\\128\255\tc\r\n\r\n")
    local text = wait.till(function()
      local all = tmp.read(log) or ""
      return all:find("/mark", 1, true) and all
    end, "the mark in the log")
    assert.is_nil(text:find("[%z\1-\9\11-\31\127-\255]"))
    for line in text:gmatch("[^\n]+") do
      if not line:find("S3CRET") and not line:find("secret", 1, true) then
        assert.is_nil(line:find("6.6.6.6", 1, true), line)
        assert.is_nil(line:find("TLSv1", 1, true), line)
      elseif line:find("request_uri=/[^s]") and not line:find("[?]token=") then
        clean(line, "log")
      end
    end
  end))
end)

describe("the JSON access log", function()
  it("cannot be given fields or lines by a client", run(function()
    local o = origin.start()
    local gw = gateway.start(([[
      gateway { listen = "127.0.0.1:0", workers = 1 }
      site "*" { proxy = "http://127.0.0.1:%d", log = { access = { path = "json.log" } } }
    ]]):format(o.port))
    local c = client.connect(gw.port)
    c:send('GET /a"},{"status":1,%22?x="} HTTP/1.1\r\nHost: a\r\nUser-Agent: x","status":1,"y":"\\\255\237\160\128\r\n'
      .. 'Referer: a\tb\226\128\168c\r\n\r\n')
    c:response()
    local line = wait.till(function()
      local text = tmp.read(gw.dir .. "/json.log") or ""
      return text:find("\n", 1, true) and text
    end, "a line")
    local _, lines = line:gsub("\n", "")
    assert.equal(1, lines)
    local object = require("cjson").decode(line)
    assert.is_true(object.status == 200 or object.status == 400)
    assert.is_nil(line:find("[%z\1-\9\11-\31\127]"))
  end))
end)

--- allow, deny, satisfy, auth_basic, auth_request, auth_delay, mirror, real IP in nginx syntax.
local client = require("spec.support.client")
local cqueues = require("cqueues")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local wait = require("spec.support.wait")
local start = require("spec.nginx.start")

--- $TO is the origin.
local function serve(o, http, options)
  return start((http:gsub("%$TO", "proxy_pass http://127.0.0.1:" .. o.port)), options)
end

local function basic(user, password)
  local text = user .. ":" .. password
  local encoded = require("openssl.digest") and io.popen(("printf %%s '%s' | base64 -w0"):format(text)):read("*a")
  return { Authorization = "Basic " .. encoded }
end

describe("rules", function()
  it("are asked in order, the first one that holds decides", run(function()
    local gw = serve(origin.start(), [[
      server { listen 127.0.0.1:0;
        location /a { allow 127.0.0.1; deny all; $TO; }
        location /b { deny 127.0.0.0/8; allow all; $TO; }
        location /c { deny unix:; deny 10.0.0.0/8; $TO; } }
    ]])
    assert.equal(200, client.get(gw.port, "/a").status)
    assert.equal(403, client.get(gw.port, "/b").status)
    assert.equal(200, client.get(gw.port, "/c").status)
    gw:wait_log("access forbidden by rule, client: 127")
  end))
end)

describe("auth_basic", function()
  local users = table.concat({
    "plain:{PLAIN}secret", "sha:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "bad:$9z$nothing", "# comment:{PLAIN}x",
  }, "\n") .. "\n"

  it("lets in who knows the password, in each of the ways it may be stored", run(function()
    local lines = users
    for name, method in pairs { apr = "-apr1", md5 = "-1", sha256 = "-5", sha512 = "-6" } do
      lines = lines .. ("%s_:%s\n"):format(name, io.popen("openssl passwd " .. method .. " secret"):read("*l"))
    end
    local gw = serve(origin.start(), [[
      server { listen 127.0.0.1:0; location / { auth_basic "closed $arg_r"; auth_basic_user_file users; $TO; }
        location /open { auth_basic off; $TO; } location /none { auth_basic x; auth_basic_user_file missing; $TO; } }
    ]], { files = { users = lines } })
    local res = client.get(gw.port, "/?r=1")
    assert.equal(401, res.status)
    assert.equal('Basic realm="closed 1"', res.headers:get("www-authenticate"))
    for _, user in ipairs { "plain", "sha", "apr_", "md5_", "sha256_", "sha512_" } do
      assert.equal(200, client.get(gw.port, "/", basic(user, "secret")).status, user)
      assert.equal(401, client.get(gw.port, "/", basic(user, "Secret")).status, user)
      assert.equal(200, client.get(gw.port, "/", basic(user, "secret")).status, user)
    end
    assert.equal(401, client.get(gw.port, "/", basic("# comment", "x")).status)
    assert.equal(500, client.get(gw.port, "/", basic("bad", "x")).status)
    assert.equal(200, client.get(gw.port, "/open").status)
    assert.equal(403, client.get(gw.port, "/none", basic("a", "b")).status)
    assert.equal(401, client.get(gw.port, "/none").status)
  end))

  it("makes every refusal wait as long", run(function()
    local gw = serve(origin.start(), [[
      server { listen 127.0.0.1:0; auth_delay 300ms; location / { auth_basic closed; auth_basic_user_file users; $TO; } }
    ]], { files = { users = users } })
    local from = cqueues.monotime()
    assert.equal(401, client.get(gw.port, "/").status)
    assert.is_true(cqueues.monotime() - from >= 0.29)
  end))
end)

describe("satisfy any", function()
  it("is content with one of rules and users", run(function()
    local gw = serve(origin.start(), [[
      server { listen 127.0.0.1:0; satisfy any; auth_basic closed; auth_basic_user_file users;
        location /in { allow 127.0.0.1; deny all; $TO; } location /out { deny all; $TO; } }
    ]], { files = { users = "u:{PLAIN}p\n" } })
    assert.equal(200, client.get(gw.port, "/in").status)
    local res = client.get(gw.port, "/out")
    assert.equal(401, res.status)
    assert.equal('Basic realm="closed"', res.headers:get("www-authenticate"))
    assert.equal(200, client.get(gw.port, "/out", basic("u", "p")).status)
  end))
end)

describe("auth_request", function()
  it("asks a location with the client's fields and without its body", run(function()
    local status, seen = 204, nil
    local o = origin.start(function(req)
      if req.path:find("^/auth") then
        seen = req
        return status, { ["WWW-Authenticate"] = "Token" }
      end
      return 200, nil, "in"
    end)
    local gw = serve(o, [[
      server { listen 127.0.0.1:0; location / { auth_request /auth; $TO; }
        location = /auth { $TO; } }
    ]])
    local res = client.call(gw.port, "POST", "/x?y=1", { ["X-Key"] = "k" }, "body")
    assert.equal(200, res.status)
    assert.equal("in", res.body)
    assert.equal("GET", seen.method)
    assert.equal("/auth", seen.path)
    assert.equal("k", seen.headers:get("x-key"))
    assert.equal("", seen.body or "")
    for given, answer in pairs { [401] = 401, [403] = 403, [500] = 500, [302] = 500 } do
      status = given
      res = client.get(gw.port, "/")
      assert.equal(answer, res.status)
      assert.equal(given == 401 and "Token" or nil, res.headers:get("www-authenticate"))
    end
    gw:wait_log("auth request unexpected status: ")
  end))
end)

describe("auth_request_set", function()
  it("sets variables from the answer, for the request and what it is sent on to", run(function()
    local o = origin.start(function(req)
      return 204, { ["X-User"] = req.path == "/auth" and "joe" or nil }
    end)
    local gw = serve(o, [[
      server { listen 127.0.0.1:0;
        location / { auth_request /auth; auth_request_set $user $upstream_http_x_user; add_header X-Is "$user!"; $TO; }
        location = /auth { $TO; } location /no { add_header X-Is "$user!"; $TO; } }
    ]])
    assert.equal("joe!", client.get(gw.port, "/").headers:get("X-Is"))
    assert.equal("!", client.get(gw.port, "/no").headers:get("X-Is"))
  end))
end)

describe("mirror", function()
  it("sends a copy with its body elsewhere and waits for nobody", run(function()
    local gate = origin.gate()
    local copy = origin.start(function(_, res)
      res:wait(gate)
      return 200
    end)
    local o = origin.start()
    local gw = serve(o, ([[
      server { listen 127.0.0.1:0; location / { mirror /copy; $TO; }
        location /copy { internal; proxy_pass http://127.0.0.1:%d; } }
    ]]):format(copy.port))
    assert.equal(200, client.call(gw.port, "POST", "/x?y=1", nil, "hello").status)
    wait.till(function()
      return copy:last() and copy:last().body == "hello"
    end, "the copy")
    assert.equal("POST", copy:last().method)
    gate:open()
  end))
end)

describe("real IP", function()
  it("is what trusted peers say it is, per location too", run(function()
    local o = origin.start()
    local gw = serve(o, [[
      server { listen 127.0.0.1:0; add_header X-Client $remote_addr:$remote_port:$realip_remote_addr;
        location /a { set_real_ip_from 127.0.0.1; $TO; }
        location /b { set_real_ip_from localhost; real_ip_header X-Forwarded-For; real_ip_recursive on; $TO; }
        location /c { set_real_ip_from 10.0.0.0/8; $TO; } }
    ]])
    local function client_of(path, headers)
      local res = client.get(gw.port, path, headers)
      assert.equal(200, res.status)
      return res.headers:get("x-client")
    end
    assert.equal("192.0.2.1::127.0.0.1", client_of("/a", { ["X-Real-IP"] = "192.0.2.1" }))
    assert.equal("192.0.2.1:7:127.0.0.1", client_of("/a", { ["X-Real-IP"] = "192.0.2.1:7" }))
    assert.equal("192.0.2.1::127.0.0.1", client_of("/b", { ["X-Forwarded-For"] = "198.51.100.1, 192.0.2.1, 127.0.0.1" }))
    assert.equal("127.0.0.1", client_of("/c", { ["X-Real-IP"] = "192.0.2.1" }):match("^[^:]+"))
  end))

  it("comes from the PROXY header when that is asked for", run(function()
    local o = origin.start()
    local gw = serve(o, [[
      server { listen 127.0.0.1:0 proxy_protocol;
        add_header X-Client "$remote_addr $proxy_protocol_addr $proxy_protocol_server_port $proxy_protocol_tlv_authority";
        location /a { $TO; }
        location /b { set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol; $TO; } }
    ]])
    local function client_of(path, header)
      local c = client.connect(gw.port)
      c:send(header .. "GET " .. path .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      local res = c:response()
      assert.equal(200, res.status)
      return res.headers:get("x-client")
    end
    local v1 = "PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n"
    assert.equal("127.0.0.1 192.0.2.1 5678", (client_of("/a", v1):gsub(" $", "")))
    assert.equal("192.0.2.1 192.0.2.1 5678", (client_of("/b", v1):gsub(" $", "")))
    local v2 = "\r\n\r\n\0\r\nQUIT\n\33\17\0\20\192\0\2\9\192\0\2\2\0\123\22\46\2\0\5a.net"
    assert.equal("192.0.2.9 192.0.2.9 5678 a.net", client_of("/b", v2))
  end))
end)

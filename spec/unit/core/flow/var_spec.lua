local flow = require("spec.unit.core.flow.support")
local C, ffi, unit, net, E = flow.C, flow.ffi, flow.unit, flow.net, flow.E
unit.cdef("int getpid(void);")

local function value(r, name)
  return flow.text(C.var_get(r, unit.str(name)))
end

describe("flow/var", function()
  local p, r

  local function request(target, fields)
    if r then
      C.req_free(r)
    end
    r = flow.req(p, target, fields)
    r.client.peer, r.client.addr = net.addr("192.0.2.1:4711"), net.addr("203.0.113.9:1234")
    r.client["local"] = net.addr("127.0.0.1:8080")
    r.client.conn_id, r.client.conn_requests, r.received = 77, 3, 123
  end

  --- expected[name] = value; false: absent.
  local function check(expected)
    for name, text in pairs(expected) do
      assert.equal(text or nil, value(r, name), "$" .. name)
    end
  end

  before_each(function()
    p = assert(flow.plan_of({ flow.route("/*", { label = "f.lua:7" }) }, { names = { "*", "www.example.com" } }))
    request("/")
  end)

  after_each(function()
    C.req_free(r)
    r = nil
    C.plan_unref(p)
  end)

  it("tells the request line", function()
    request("POST /a%20b/c?x=1&y&Zed=%20")
    check({
      uri = "/a b/c", document_uri = "/a b/c", request_uri = "/a%20b/c?x=1&y&Zed=%20", args = "x=1&y&Zed=%20", is_args = "?",
      query_string = "x=1&y&Zed=%20", arg_x = "1", arg_y = "", arg_zed = "%20", arg_none = false, request_method = "POST",
      request = "POST /a%20b/c?x=1&y&Zed=%20 HTTP/1.1", server_protocol = "HTTP/1.1", request_length = "123",
    })
    request("/a")
    check({ args = false, is_args = "", arg_x = false })
  end)

  it("tells fields, cookies and the user", function()
    request("/", {
      { "Host", "Shop.Example.com:8080" }, { "X-Api-Key", "k" }, { "x_under", "u" }, { "Accept", "a" }, { "Accept", "b" },
      { "Cookie", "sid=1; a=b" }, { "Cookie", "c=d" }, { "Content-Type", "text/x" }, { "Content-Length", "9" },
      { "Authorization", "Basic am9lOnNlY3JldA==" },
    })
    check({
      http_x_api_key = "k", http_x_under = "u", http_accept = "a, b", http_none = false, cookie_sid = "1", cookie_c = "d",
      cookie_none = false, http_cookie = "sid=1; a=b; c=d", content_type = "text/x", content_length = "9", remote_user = "joe",
      host = "shop.example.com", http_host = "Shop.Example.com:8080",
    })
  end)

  it("takes nonsense for credentials as nobody", function()
    for _, field in ipairs({ "Basic", "Basic !!", "Basic am9l", "Bearer x", "Basic " }) do
      request("/", { { "Authorization", field } })
      check({ remote_user = false })
    end
  end)

  it("takes the site's name where there is no Host", function()
    request("/")
    check({ host = "www.example.com", server_name = "www.example.com", http_host = false })
  end)

  it("tells addresses and the connection", function()
    request("/", { { "X-Forwarded-For", "198.51.100.1" } })
    check({
      remote_addr = "203.0.113.9", remote_port = "1234", realip_remote_addr = "192.0.2.1", realip_remote_port = "4711",
      server_addr = "127.0.0.1", server_port = "8080", connection = "77", connection_requests = "3", scheme = "http", https = "",
      proxy_add_x_forwarded_for = "198.51.100.1, 203.0.113.9", binary_remote_addr = "\203\0\113\9", ssl_protocol = false,
    })
    r.client.addr, r.client.tls = net.addr("[2001:db8::1]:99"), true
    r.client.tls_protocol, r.client.tls_cipher = unit.str("TLSv1.3"), unit.str("X")
    check({ remote_addr = "2001:db8::1", scheme = "https", https = "on", ssl_protocol = "TLSv1.3", ssl_cipher = "X",
      ssl_server_name = false })
    assert.equal(16, #value(r, "binary_remote_addr"))
  end)

  it("makes an id of 32 hex digits that begins with the log's number", function()
    local id = value(r, "request_id")
    assert.matches("^%x+$", id)
    assert.equal(32, #id)
    assert.equal(("%016x"):format(tonumber(r.id)), id:sub(1, 16))
    assert.equal(id, value(r, "request_id"))
  end)

  it("tells the response", function()
    check({ status = "000", body_bytes_sent = "0", sent_http_x_a = false, error = false })
    C.msg_init(r.res, r.pool)
    assert.equal(0, C.headers_add(r.res.h, unit.str("X-A"), unit.str("1")))
    r.res.status, r.res.body, r.res.length = 404, E.MSG_BODY_LENGTH, 12
    r.head_sent, r.sent_head, r.sent_body = true, 100, 12
    check({ status = "404", body_bytes_sent = "12", bytes_sent = "112", sent_http_x_a = "1", sent_http_content_length = "12",
      sent_http_connection = "keep-alive", request_completion = "OK" })
    r.err = E.ERR_TIMEOUT
    check({ error = "TIMEOUT", request_completion = "" })
  end)

  it("calls a client that left 499", function()
    r.client_gone = true
    check({ status = "499" })
  end)

  it("lists the figures of every upstream attempt", function()
    check({ upstream_addr = false, upstream_status = false })
    local peers = ffi.new("peer[2]")
    for i, text in ipairs({ "10.0.0.1:80", "10.0.0.2:80" }) do
      ffi.copy(peers[i - 1].text, text)
      peers[i - 1].text_n, peers[i - 1].refs = #text, 10
    end
    local attempts = ffi.new("attempt[2]")
    attempts[0].peer, attempts[0].err = peers, E.ERR_REFUSED
    attempts[0].start_us, attempts[0].end_us = 1000, 3500
    attempts[1].peer, attempts[1].status = peers + 1, 200
    attempts[1].start_us, attempts[1].connect_us, attempts[1].head_us, attempts[1].end_us = 4000, 5000, 9000, 1004000
    attempts[1].bytes_in, attempts[1].bytes_out = 1000, 200
    r.attempts, r.nattempts = attempts, 2
    check({
      upstream_addr = "10.0.0.1:80, 10.0.0.2:80", upstream_status = "502, 200", upstream_connect_time = "-, 0.001",
      upstream_header_time = "-, 0.005", upstream_response_time = "0.002, 1.000", upstream_bytes_received = "0, 1000",
      upstream_bytes_sent = "0, 200",
    })
    r.nattempts = 0
  end)

  it("tells the time in nginx's forms", function()
    C.clock_freeze(5000, 1700000000123)
    r.start_us = 4000 * 1000
    assert.matches("^%d%d/Nov/2023:%d%d:%d%d:20 [+-]%d%d%d%d$", value(r, "time_local"))
    assert.matches("^2023%-11%-1[45]T%d%d:%d%d:20[+-]%d%d:%d%d$", value(r, "time_iso8601"))
    check({ msec = "1700000000.123", request_time = "1.000" })
  end)

  it("knows its names, and only those", function()
    local arg = ffi.new("str")
    local argp = ffi.cast("str *", arg)
    for name, known in pairs({ uri = true, http_ = true, http_x = true, nope = false, ["1"] = true, ["0"] = false, ["10"] = false }) do
      assert.equal(known, C.var_find(unit.str(name), argp) ~= nil, name)
    end
    check({ route = false, nope = false, pid = tostring(ffi.C.getpid()) })
    flow.find(r)
    check({ route = "f.lua:7" })
  end)
end)

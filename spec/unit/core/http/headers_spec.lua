local http = require("spec.unit.core.http.support")
local unit = require("spec.support.unit")
local C, ffi = unit.use("http/cookie.h", "http/h1_write.h"), http.ffi

local pool = http.pool()

--- A list of name, value pairs.
local function list(...)
  local h, pairs_ = ffi.new("headers"), { ... }
  C.headers_init(h, pool)
  for i = 1, #pairs_, 2 do
    assert.are.equal(0, C.headers_add(h, http.str(pairs_[i]), http.str(pairs_[i + 1])))
  end
  return h
end

local function dump(h)
  local out = {}
  http.field_lines(h, out)
  return out
end

describe("headers", function()
  it("finds by name in any case and by token", function()
    local h = list("Host", "a", "X-One", "1", "x-one", "2")
    assert.are.equal("a", http.text(C.headers_find(h, C.TOKEN_HOST).value))
    local first = C.headers_get(h, http.str("X-ONE"))
    assert.are.equal("1", http.text(first.value))
    assert.are.equal("2", http.text(C.headers_next(h, first).value))
    assert.is_true(C.headers_next(h, C.headers_next(h, first)) == nil)
    assert.is_true(C.headers_get(h, http.str("X-Two")) == nil)
    assert.is_true(C.headers_find(h, C.TOKEN_COOKIE) == nil)
  end)

  it("replaces the first and removes the rest", function()
    local h = list("A", "1", "B", "2", "a", "3", "A", "4")
    assert.are.equal(0, C.headers_set(h, http.str("a"), http.str("9")))
    assert.are.same({ "A: 9", "B: 2" }, dump(h))
    assert.are.equal(0, C.headers_set(h, http.str("C"), http.str("5")))
    assert.are.same({ "A: 9", "B: 2", "C: 5" }, dump(h))
    assert.are.equal(3, h.live)
  end)

  it("removes by name and by token", function()
    local h = list("Cookie", "1", "B", "2", "cookie", "3", "b", "4")
    C.headers_remove_token(h, C.TOKEN_COOKIE)
    assert.are.same({ "B: 2", "b: 4" }, dump(h))
    C.headers_remove(h, http.str("B"))
    assert.are.same({}, dump(h))
    C.headers_remove(h, http.str("B"))
    assert.are.equal(0, h.live)
  end)

  it("names fields it adds by token as they are usually written", function()
    local h = list()
    for _, token in ipairs({ C.TOKEN_CONTENT_TYPE, C.TOKEN_ETAG, C.TOKEN_WWW_AUTHENTICATE, C.TOKEN_TE,
      C.TOKEN_SEC_WEBSOCKET_ACCEPT, C.TOKEN_X_REAL_IP, C.TOKEN_X_REQUEST_ID }) do
      assert.are.equal(0, C.headers_add_token(h, token, http.str("v")))
    end
    assert.are.same({ "Content-Type: v", "ETag: v", "WWW-Authenticate: v", "TE: v", "Sec-WebSocket-Accept: v",
      "X-Real-IP: v", "X-Request-Id: v" }, dump(h))
  end)

  it("sees elements of lists", function()
    local h = list("Connection", "keep-alive , Upgrade", "Connection", "x")
    assert.is_true(C.headers_lists(h, C.TOKEN_CONNECTION, http.str("upgrade")))
    assert.is_true(C.headers_lists(h, C.TOKEN_CONNECTION, http.str("X")))
    assert.is_false(C.headers_lists(h, C.TOKEN_CONNECTION, http.str("keep")))
  end)

  it("joins values", function()
    local h = list("A", "1", "B", "x", "a", "2")
    assert.are.equal("1, 2", http.text(C.headers_joined(h, http.str("A"))))
    assert.are.equal("x", http.text(C.headers_joined(h, http.str("B"))))
    assert.is_nil(http.text(C.headers_joined(h, http.str("C"))))
  end)

  it("refuses more than 4096 fields", function()
    local h = list()
    local name, value = http.str("x"), http.str("y")
    for _ = 1, 4096 do
      assert.are.equal(0, C.headers_add(h, name, value))
    end
    assert.are.equal(C.ERR_LIMIT, C.headers_add(h, name, value))
  end)

  it("judges names and values", function()
    assert.is_true(C.headers_name_is_ok(http.str("X-a_b!#$%&'*+.^`|~9")))
    for _, bad in ipairs({ "", "a b", "a:", "a\n", "\195\164", "a(" }) do
      assert.is_false(C.headers_name_is_ok(http.str(bad)))
    end
    assert.is_true(C.headers_value_is_ok(http.str("a\tb \195\164")))
    for _, bad in ipairs({ "a\rb", "a\nb", "a\0", "\127", "\27" }) do
      assert.is_false(C.headers_value_is_ok(http.str(bad)))
    end
  end)
end)

describe("token", function()
  it("finds every name of the list and no neighbour", function()
    for t = 1, tonumber(C.TOKEN_COUNT) - 1 do
      local name = http.text(C.token_name(t))
      assert.are.equal(t, tonumber(C.token_find(http.str(name))))
      assert.are.equal(t, tonumber(C.token_find(http.str(name:upper()))))
      assert.are.equal(name, http.text(C.token_wire_name(t)):lower())
      assert.are.equal(0, tonumber(C.token_find(http.str(name .. "x"))))
      assert.are.equal(0, tonumber(C.token_find(http.str(name:sub(1, -2) .. "\1"))))
      if name:find("-") then
        assert.are.equal(0, tonumber(C.token_find(http.str((name:gsub("-", "\13"))))))
      end
    end
    assert.are.equal(0, tonumber(C.token_find(http.str(""))))
    assert.are.equal(0, tonumber(C.token_find(http.str("x"))))
    assert.are.equal(0, tonumber(C.token_find(http.str(("a"):rep(64)))))
  end)

  it("marks connection-specific fields", function()
    assert.are.equal(1, C.token_flags(C.TOKEN_CONNECTION))
    assert.are.equal(0, C.token_flags(C.TOKEN_HOST))
  end)
end)

describe("cookie", function()
  local value = ffi.new("str")
  local function get(h, name)
    return C.cookie_get(h, http.str(name), value) and http.text(value) or nil
  end

  it("reads pairs over all Cookie fields", function()
    local h = list("Cookie", "a=1; b=\"two\";c=3=4", "X", "a=9", "cookie", "d=; ; =x; e; f = 6 ;a=7")
    assert.are.equal("1", get(h, "a"))
    assert.are.equal("two", get(h, "b"))
    assert.are.equal("3=4", get(h, "c"))
    assert.are.equal("6", get(h, "f"))
    assert.are.equal("", get(h, "d"))
    assert.is_nil(get(h, "e"))
    assert.is_nil(get(h, "A"))
  end)
end)

describe("h1_write", function()
  local function write(fn, cap)
    local buf = ffi.new("char[?]", cap or 512)
    local f = ffi.new("fmt", { buf, buf + (cap or 512), buf, false })
    fn(f)
    return ffi.string(buf, f.p - buf), f.cut
  end

  it("writes start lines", function()
    assert.are.equal("HTTP/1.1 200 OK\r\nHTTP/1.0 404 Not Found\r\nHTTP/1.1 299 \r\nHTTP/1.1 200 Fine\r\n", (write(function(f)
      local none = http.str("")
      C.h1_write_status(f, 1, 200, none)
      C.h1_write_status(f, 0, 404, none)
      C.h1_write_status(f, 1, 299, none)
      C.h1_write_status(f, 1, 200, http.str("Fine"))
    end)))
    assert.are.equal("PUT /a?b HTTP/1.1\r\n", (write(function(f)
      C.h1_write_request_line(f, http.str("PUT"), http.str("/a?b"), 1)
    end)))
  end)

  it("writes fields without holes and dropped ones", function()
    local h = list("A", "1", "B", "2", "C", "3")
    C.headers_remove(h, http.str("B"))
    h.v[2].flags = 1
    assert.are.equal("A: 1\r\n", (write(function(f)
      C.h1_write_fields(f, h)
    end)))
    assert.is_true(C.h1_write_size(h) >= 6)
  end)

  it("marks what does not fit", function()
    local h = list("Name", "value")
    local text, cut = write(function(f)
      C.h1_write_fields(f, h)
    end, 10)
    assert.are.equal("", text)
    assert.is_true(cut)
  end)

  it("writes the one framing field", function()
    local m = ffi.new("msg")
    local function framing(body, length)
      m.body, m.length = body, length
      return (write(function(f)
        C.h1_write_framing(f, m)
      end))
    end
    assert.are.equal("", framing(0, -1))
    assert.are.equal("Content-Length: 0\r\n", framing(1, 0))
    assert.are.equal("Content-Length: 9223372036854775807\r\n", framing(1, 0x7fffffffffffffffLL))
    assert.are.equal("Transfer-Encoding: chunked\r\n", framing(2, -1))
    assert.are.equal("", framing(3, -1))
  end)
end)

local cases = require("spec.support.cases")
local http = require("spec.unit.core.http.support")
local C, ffi = http.C, http.ffi

local forms = { [0] = "origin", "absolute", "asterisk", "authority" }

local function parse(target, options)
  local pool, u = http.pool(), ffi.new("uri")
  local buf = http.exact(target)
  local view = ffi.new("str", { ffi.cast("const char *", buf), #target })
  local rc = C.uri_parse(view, http.method(options.method), not options.nomerge, pool, u)
  if rc < 0 then
    return http.err(rc)
  end
  local out = { forms[u.form] }
  local function add(name, view_of)
    local text = http.text(view_of)
    if text and (text ~= "" or name == "path" or name == "query") then
      out[#out + 1] = name .. "=" .. http.show(text)
    end
  end
  add("scheme", u.scheme)
  add("authority", u.authority)
  add("raw", u.raw)
  add("path", u.path)
  add("query", u.query)
  return table.concat(out, " ") .. (u.is_plain and " plain" or "")
end

describe("uri_parse", function()
  cases.each("uri", function(case)
    assert.are.equal((case.log:gsub("\\\\", "\\")), parse(case.input, case.options))
  end)
end)

describe("uri_host", function()
  local function host(value)
    local pool, name, port = http.pool(), ffi.new("str"), ffi.new("uint16_t[1]")
    local rc = C.uri_host(http.str(value), pool, name, port)
    return rc == 0 and http.text(name) .. " " .. port[0] or nil
  end

  it("splits host and port", function()
    assert.are.equal("a 0", host("a"))
    assert.are.equal("a 0", host("a:"))
    assert.are.equal("127.0.0.1 8080", host("127.0.0.1:8080"))
    assert.are.equal("a-long-name.example.com 65535", host("a-long-name.example.com:65535"))
    assert.are.equal("[::ffff:1.2.3.4] 1", host("[::FFFF:1.2.3.4]:1"))
  end)

  it("lowers the name and cuts the trailing dot", function()
    assert.are.equal("example.com 0", host("Example.COM."))
    assert.are.equal("a_b~c 0", host("A_b~C"))
  end)

  it("handles every length alike", function()
    for n = 1, 40 do
      local name = ("a"):rep(n)
      assert.are.equal(name .. " 8", host(name .. ":8"))
      assert.are.equal(name .. " 8", host(name:upper() .. ":8"))
      assert.is_nil(host(name .. "..b"))
      assert.is_nil(host(name .. "/"))
      assert.is_nil(host("." .. name))
    end
  end)

  it("refuses what is no host", function()
    for _, bad in ipairs({ "", ".", ":80", "a:b", "a:0", "a:65536", "a:123456", "a b", "a,b", "a%41", "a\0b", "u@h",
      "[::1", "[::1]x", "[]", "[1.2.3.4]", "[::1%25eth0]", "a:1:2", ("a"):rep(256) }) do
      assert.is_nil(host(bad), bad)
    end
  end)
end)

describe("encoding", function()
  local pool = http.pool()

  it("encodes what may not stand in a path", function()
    assert.are.equal("/a%20b/%3F%23%25%C3%A4/!$&'()*+,;=:@", http.text(
      C.uri_encode_path(http.str("/a b/?#%\195\164/!$&'()*+,;=:@"), pool)))
  end)

  it("returns the view itself when nothing must change", function()
    local view = http.str("/plain/path")
    assert.are.equal(view.p, C.uri_encode_path(view, pool).p)
  end)

  it("encodes a component", function()
    assert.are.equal("a%2Fb%20c-._~", http.text(C.uri_encode_component(http.str("a/b c-._~"), pool)))
  end)

  it("decodes and leaves bad escapes", function()
    assert.are.equal("a b%zz%4+", http.text(C.uri_decode(http.str("a%20b%zz%4+"), false, pool)))
    assert.are.equal("a b ", http.text(C.uri_decode(http.str("a%20b+"), true, pool)))
  end)

  it("iterates a query", function()
    local rest, name, value = http.str("a=1&&b&c=2=3&=x"), ffi.new("str"), ffi.new("str")
    local out = {}
    local view = ffi.new("str[1]", { rest })
    while C.uri_query_next(view, name, value) do
      out[#out + 1] = http.text(name) .. ":" .. http.text(value)
    end
    assert.are.same({ "a:1", "b:", "c:2=3", ":x" }, out)
    assert.is_true(C.uri_query_get(rest, http.str("c"), value))
    assert.are.equal("2=3", http.text(value))
    assert.is_false(C.uri_query_get(rest, http.str("d"), value))
  end)
end)

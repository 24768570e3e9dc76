local cases = require("spec.support.cases")
local http = require("spec.unit.core.http.support")
local C, ffi = http.C, http.ffi

describe("h1_parse_request", function()
  cases.each("h1_request", function(case)
    assert.are.equal(case.log, http.parse_request(case.input, case.options, #case.input))
    assert.are.equal(case.log, http.parse_request(case.input, case.options, 1))
    assert.are.equal(case.log, http.parse_request(case.input, case.options, 3))
  end)

  it("reads every length of value and name at every distance from the end", function()
    for name = 1, 40 do
      for value = 1, 40 do
        local line = ("n"):rep(name) .. ": " .. ("v"):rep(value)
        local input = "GET / HTTP/1.1\r\nHost: a\r\n" .. line .. "\r\n\r\n"
        local want = ("GET / 1.1 n=%d\nHost: a\n%s\nbody=none host=a port=0 keepalive"):format(#input, line)
        assert.are.equal(want, http.parse_request(input, {}, #input))
      end
    end
  end)

  it("finds every control byte in a value of every length", function()
    for length = 1, 36 do
      for at = 1, length do
        local value = ("v"):rep(at - 1) .. "\1" .. ("v"):rep(length - at)
        local input = "GET / HTTP/1.1\r\nHost: a\r\nX: " .. value .. "\r\n\r\n"
        assert.are.equal("error BAD_FIELD_VALUE", http.parse_request(input, {}, #input))
      end
    end
  end)

  it("allows in names exactly the characters of a token", function()
    for byte = 0, 255 do
      local c = string.char(byte)
      local log = http.parse_request("GET / HTTP/1.1\r\nHost: a\r\nX" .. c .. "Y: z\r\n\r\n", {}, 999)
      local ok = c:find("^[%w!#$%%&'*+.^_`|~:-]$") ~= nil
      assert.are.equal(ok, not log:find("^error"), ("byte %d"):format(byte))
    end
  end)

  it("gives known names their token in any case", function()
    local pool, m, scan = http.pool(), ffi.new("msg"), ffi.new("h1_scan")
    C.msg_init(m, pool)
    local text = "GET / HTTP/1.1\r\nHOST: a\r\ncOnTeNt-LeNgTh: 0\r\nX-Forwarded-For: b\r\nContent-Lengtha: 1\r\n\r\n"
    assert.is_true(C.h1_parse_request(http.str(text), http.limits({}), scan, m) > 0)
    local tokens = {}
    for i = 0, m.h.n - 1 do
      tokens[i + 1] = tonumber(m.h.v[i].token)
    end
    assert.are.same({ tonumber(C.TOKEN_HOST), tonumber(C.TOKEN_CONTENT_LENGTH),
      tonumber(C.TOKEN_X_FORWARDED_FOR), 0 }, tokens)
  end)

  it("clears the scan when it has answered", function()
    local pool, m, scan = http.pool(), ffi.new("msg"), ffi.new("h1_scan")
    C.msg_init(m, pool)
    local lim = http.limits({})
    assert.are.equal(C.ERR_AGAIN, C.h1_parse_request(http.str("GET / HTTP/1.1\r\nHo"), lim, scan, m))
    assert.is_true(scan.at > 0)
    assert.is_true(scan.line_seen)
    assert.is_true(C.h1_parse_request(http.str("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), lim, scan, m) > 0)
    assert.are.equal(0, scan.at)
    assert.is_false(scan.line_seen)
  end)

  it("takes more fields than the first array holds", function()
    local lines = { "GET / HTTP/1.1", "Host: a" }
    for i = 1, 99 do
      lines[#lines + 1] = "X-" .. i .. ": " .. i
    end
    local log = http.parse_request(table.concat(lines, "\r\n") .. "\r\n\r\n", {}, 1e6)
    assert.is_truthy(log:find("X-99: 99\nbody=none", 1, true))
    lines[#lines + 1] = "X-100: 100"
    assert.are.equal("error HEAD_TOO_LARGE", http.parse_request(table.concat(lines, "\r\n") .. "\r\n\r\n", {}, 1e6))
  end)

  it("refuses a Connection that names too many fields", function()
    local input = "GET / HTTP/1.1\r\nHost: a\r\nConnection: " .. ("x,"):rep(40) .. "\r\n\r\n"
    assert.are.equal("error BAD_CONNECTION", http.parse_request(input, {}, #input))
  end)
end)

describe("h1_parse_response", function()
  cases.each("h1_response", function(case)
    assert.are.equal(case.log, http.parse_response(case.input, case.options, #case.input))
    assert.are.equal(case.log, http.parse_response(case.input, case.options, 1))
    assert.are.equal(case.log, http.parse_response(case.input, case.options, 5))
  end)
end)

describe("h1_parse_trailers", function()
  local function trailers(text, options)
    local pool, h = http.pool(), ffi.new("headers")
    C.headers_init(h, pool)
    local rc = C.h1_parse_trailers(http.str(text), http.limits(options or {}), h)
    local out = { tostring(rc > 0 and rc or http.err(rc)) }
    http.field_lines(h, out)
    return table.concat(out, "\n")
  end

  it("reads an empty section", function()
    assert.are.equal("2", trailers("\r\nGET"))
  end)

  it("reads fields up to the empty line", function()
    assert.are.equal("21\nX-Sum: 1\ngrpc-status: 0", trailers("X-Sum: 1\r\ngrpc-status: 0\r\n\r\n"):gsub("^%d+", "21"))
  end)

  it("drops fields that frame, route or authenticate", function()
    assert.are.equal("X: 1", trailers("Content-Length: 5\r\nHost: b\r\nAuthorization: c\r\n"
      .. "Transfer-Encoding: chunked\r\nX: 1\r\nCookie: d\r\n\r\n"):match("\n(.*)"))
  end)

  it("waits for the empty line", function()
    assert.are.equal("error AGAIN", trailers(""))
    assert.are.equal("error AGAIN", trailers("\r"))
    assert.are.equal("error AGAIN", trailers("X: 1\r\n\r"))
  end)

  it("refuses what a head may not have", function()
    assert.are.equal("error BAD_TRAILER", trailers("X : 1\r\n\r\n"))
    assert.are.equal("error BAD_TRAILER", trailers("X: 1\n\r\n\r\n"))
    assert.are.equal("error BAD_TRAILER", trailers("\rX: 1\r\n\r\n"))
    assert.are.equal("error BAD_TRAILER", trailers("X: " .. ("a"):rep(100), { head = 64 }))
  end)
end)

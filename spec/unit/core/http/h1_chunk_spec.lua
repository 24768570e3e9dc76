local cases = require("spec.support.cases")
local http = require("spec.unit.core.http.support")
local C, ffi = http.C, http.ffi

--- Decodes, showing at most `step` bytes a time.
local function decode(input, step)
  local c, data, used = ffi.new("h1_chunk"), ffi.new("str"), ffi.new("size_t[1]")
  C.h1_chunk_init(c)
  local body, at = {}, 0
  while at < #input do
    local piece = input:sub(at + 1, at + step)
    local buf = http.exact(piece)
    local rc = C.h1_chunk_decode(c, ffi.new("str", { ffi.cast("const char *", buf), #piece }), data, used)
    if rc < 0 then
      return http.err(rc)
    end
    body[#body + 1] = http.text(data)
    at = at + tonumber(used[0])
    if rc == 1 then
      return "body " .. table.concat(body) .. "\nend used=" .. at
    end
  end
  return "body " .. table.concat(body) .. "\nmore"
end

describe("h1_chunk_decode", function()
  cases.each("chunk", function(case)
    assert.are.equal(case.log, decode(case.input, #case.input))
    assert.are.equal(case.log, decode(case.input, 1))
    assert.are.equal(case.log, decode(case.input, 2))
  end)

  it("bounds extensions over all chunks together", function()
    local chunk = "1;" .. ("a"):rep(1000) .. "\r\nx\r\n"
    assert.are.equal("body xxxx\nmore", decode(chunk:rep(4), 1e6))
    assert.are.equal("error BAD_CHUNK", decode(chunk:rep(5), 1e6))
  end)
end)

describe("h1_chunk_head", function()
  it("writes the size in hexadecimal and CRLF", function()
    local buf = ffi.new("char[18]")
    for _, pair in ipairs({ { 0, "0" }, { 15, "f" }, { 4096, "1000" }, { 0x7fffffffffffffffULL, "7fffffffffffffff" } }) do
      local n = C.h1_chunk_head(buf, pair[1])
      assert.are.equal(pair[2] .. "\r\n", ffi.string(buf, n))
    end
  end)
end)

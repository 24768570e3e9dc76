--- Lines of htpasswd files.
local unit = require("spec.support.unit")
local ffi = require("ffi")
local C = unit.use("flow/passwd.h", "base/err.h")

local function text(s)
  local buf = ffi.new("char[?]", #s + 1, s)
  return ffi.new("str", { buf, #s }), buf
end

local function check(stored, given)
  local a, keep_a = text(stored)
  local b, keep_b = text(given)
  local rc = C.passwd_check(a, b)
  assert(keep_a and keep_b)
  return rc
end

describe("passwd_check", function()
  for kind, stored in pairs {
    plain = "{PLAIN}secret", sha = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", ssha = "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
    apr1 = "$apr1$abcdefgh$h9FWgUz3n9YxylKLlR5SQ/", md5 = "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1",
    sha256 = "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
    sha512 = "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
  } do
    it("knows a line of kind " .. kind, function()
      assert.equal(0, check(stored, "secret"))
      for _, wrong in ipairs { "Secret", "", "secret\0x", ("x"):rep(600) } do
        assert.equal(C.ERR_NOT_FOUND, check(stored, wrong))
      end
    end)
  end

  it("refuses what is no hash, and work that nobody should be made to do", function()
    assert.equal(C.ERR_INVALID, check("$9z$nothing", "x"))
    assert.equal(C.ERR_LIMIT, check("$2y$31$abcdefghijklmnopqrstuuVcGQ0fQ0fQ0fQ0fQ0fQ0fQ0fQ0fQ0fQ", "x"))
    assert.equal(C.ERR_LIMIT, check("$6$rounds=999999999$salt$x", "x"))
    assert.equal(C.ERR_NOT_FOUND, check("{SHA}short", "x"))
  end)
end)

local unit = require("spec.support.unit")
local C = unit.use("flow/grpc.h")

describe("grpc", function()
  it("reads grpc-timeout in all its units", function()
    local cases = { ["1H"] = 3600000, ["2M"] = 120000, ["5S"] = 5000, ["100m"] = 100, ["2500u"] = 2, ["3n"] = 1,
      ["99999999H"] = 99999999 * 3600000 }
    for text, ms in pairs(cases) do
      assert.equal(ms, tonumber(C.grpc_timeout_ms(unit.str(text))), text)
    end
  end)

  it("refuses what is no grpc-timeout", function()
    for _, text in ipairs { "", "S", "5", "5s", "5 S", "-5S", "1.5S", "999999999S", "5SS" } do
      assert.equal(0, tonumber(C.grpc_timeout_ms(unit.str(text))), text)
    end
  end)

  it("maps HTTP statuses as gRPC's table does", function()
    local cases = { [200] = 0, [400] = 13, [401] = 16, [403] = 7, [404] = 12, [429] = 8, [502] = 14, [503] = 14, [504] = 4, [418] = 2 }
    for http, code in pairs(cases) do
      assert.equal(code, C.grpc_status(http))
    end
  end)
end)

--- The modules of nginx directives as a whole.
package.path = "./lua/?.lua;" .. package.path

describe("directives of nginx syntax", function()
  it("have one entry for each context: of two, one would be silently ignored", function()
    local seen = {}
    for _, module in ipairs(require("nginx.directives.init")) do
      for name, entry in pairs(module.directives or {}) do
        for context in entry.where:gmatch("%S+") do
          local key = name .. " in " .. context
          assert.is_nil(seen[key], key)
          seen[key] = true
        end
      end
    end
    assert.is_true(next(seen) ~= nil)
  end)
end)

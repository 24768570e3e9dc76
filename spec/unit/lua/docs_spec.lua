--- Pages that say what the code says.
local test = require("moongate.test")

local function read(path)
  local f = assert(io.open(path))
  local text = f:read("*a")
  f:close()
  return text
end

describe("docs", function()
  it("api.md is what the registration tables say (moongate schema --api)", function()
    assert.equal(require("moongate.stubs").markdown(), read("docs/api.md"))
  end)

  it("policies.md has every option of every shipped policy", function()
    assert.truthy(test)
    local page = read("docs/policies.md")
    for _, name in ipairs { "rate_limit", "conn_limit", "key_auth", "ip_allow", "headers", "canary", "cors", "redirect", "request_id" } do
      local policy = dofile("scripts/" .. name .. ".lua")
      local at = assert(page:find("\n### " .. name .. "\n", 1, true), name)
      local section = page:sub(at, (page:find("\n### ", at + 5, true) or 0) - 1)
      assert.truthy(section:find(policy.doc, 1, true), name)
      for _, option in ipairs(policy.options.names) do
        local row = ("| `%s` | %s |"):format(option, policy.options.fields[option].expect)
        assert.truthy(section:find(row, 1, true), name .. "." .. option)
        assert.truthy(policy.options.fields[option].doc_text, name .. "." .. option)
      end
    end
  end)
end)

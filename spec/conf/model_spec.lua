--- lua/conf/model.lua (what an editor knows of the model) is written from fields.def. MOONGATE_GOLDEN=write rewrites it.
local fields = require "spec.conf.fields"

it("lua/conf/model.lua agrees with core/conf/fields.def", function()
  if os.getenv("MOONGATE_GOLDEN") == "write" then
    local f = assert(io.open("lua/conf/model.lua", "w"))
    f:write(fields.classes())
    f:close()
  end
  local f = assert(io.open("lua/conf/model.lua"))
  local text = f:read("*a")
  f:close()
  assert.equal(fields.classes(), text)
end)

--- lua/conf/model.lua (what an editor knows of the model) is written from fields.def. MOONGATE_GOLDEN=write rewrites it.
local fields = require "spec.conf.fields"
local golden = require "spec.support.golden"

it("lua/conf/model.lua agrees with core/conf/fields.def", function()
  golden.compare("lua/conf/model.lua", fields.classes())
end)

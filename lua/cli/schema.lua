--- `moongate schema --json | --stubs | --markdown`: the schema of the native dialect for editors and manuals.
local describe = require "conf.describe"
local json = require "conf.json"

local M = {}

local writers = {
  ["--json"] = function()
    return json.encode(describe.json_schema()) .. "\n"
  end,
  ["--stubs"] = describe.stubs,
  ["--markdown"] = describe.markdown,
}

---@param args string[]
---@return integer status, string out, string err
function M.main(args)
  local writer = writers[args[1] or "--json"]
  if not writer or #args > 1 then
    return 2, "", "usage: moongate schema --json | --stubs | --markdown\n"
  end
  return 0, writer(), ""
end

return M

--- `moongate schema --json | --stubs | --markdown | --api | --nginx`: the schema of the native dialect, and the table of nginx's
--- directives, for editors and manuals.
local describe = require "conf.describe"
local json = require "conf.json"

local M = {}

local writers = {
  ["--json"] = function()
    return json.encode(describe.json_schema()) .. "\n"
  end,
  ["--stubs"] = function()
    local found, stubs = pcall(require, "moongate.stubs") -- needs the C core: not there under a plain LuaJIT
    return describe.stubs() .. (found and stubs.luals() or "")
  end,
  ["--markdown"] = describe.markdown,
  ["--api"] = function()
    return require("moongate.stubs").markdown()
  end,
  ["--nginx"] = function()
    return require("nginx.describe").markdown()
  end,
}

---@param args string[]
---@return integer status, string out, string err
function M.main(args)
  local writer = writers[args[1] or "--json"]
  if not writer or #args > 1 then
    return 2, "", "usage: moongate schema --json | --stubs | --markdown | --api | --nginx\n"
  end
  return 0, writer(), ""
end

return M

--- Golden files: what a spec makes is compared with a file beside its input. MOONGATE_GOLDEN=write rewrites them; read the difference
--- before committing it.
local tmp = require("spec.support.tmp")

local M = {}

--- Files that a shell pattern names ("spec/x/*.lua spec/x/*.conf"), sorted.
---@param pattern string
---@return string[]
function M.files(pattern)
  local list = {}
  local pipe = assert(io.popen("ls " .. pattern))
  for path in pipe:lines() do
    list[#list + 1] = path
  end
  pipe:close()
  return list
end

--- Compares `text` with the golden file.
---@param golden string  its path
---@param text string
function M.compare(golden, text)
  if os.getenv("MOONGATE_GOLDEN") == "write" then
    local f = assert(io.open(golden, "wb"))
    f:write(text)
    f:close()
  end
  require("luassert").equal(tmp.read(golden), text)
end

return M

--- `moongate test [options of busted] [PATH ...]`: runs busted specs in the gateway's own engine. Without a path: spec/ when
--- there is one, else the folder itself.
local M = {}

local function exists(path)
  local f = io.open(path, "r")
  if f then
    f:close()
  end
  return f ~= nil
end

---@param args string[]
---@return integer status, string|nil out, string|nil err
function M.main(args)
  local found, runner = pcall(require, "busted.runner")
  if not found then
    return 1, "", "moongate test needs busted (Debian: lua-busted)\n"
  end
  local argv, has_path = { [0] = "moongate test" }, false
  for i, a in ipairs(args) do
    argv[i] = a
    has_path = has_path or a:sub(1, 1) ~= "-"
  end
  if not has_path then
    argv[#argv + 1] = exists("spec") and "spec" or "."
  end
  rawset(_G, "arg", argv)
  runner({ standalone = false }) -- ends the process with the number of failures
  return 0
end

return M

--- Temporary directories, removed when the process ends.
local M = {}

local dirs = {}

-- Collected when the Lua state closes, and only then: nothing else refers to it.
M.guard = newproxy(true)
getmetatable(M.guard).__gc = function()
  for _, dir in ipairs(dirs) do
    if dir:find("^/[^%s']+/moongate%-spec%.%w+$") then
      os.execute("rm -rf '" .. dir .. "'")
    end
  end
end

--- A new empty directory that other users (a worker that dropped its privileges) may enter.
---@return string
function M.dir()
  local base = os.getenv("TMPDIR") or "/tmp"
  local path = assert(require("posix.stdlib").mkdtemp(base .. "/moongate-spec.XXXXXX"))
  require("posix.sys.stat").chmod(path, 493) -- 0755
  dirs[#dirs + 1] = path
  return path
end

--- Writes a file, making the folders between `dir` and it.
---@param dir string
---@param name string  may contain slashes
---@param text string
---@return string path
function M.write(dir, name, text)
  local folder = name:match("^(.*)/[^/]*$")
  if folder then
    os.execute(("mkdir -p '%s/%s'"):format(dir, folder))
  end
  local path = dir .. "/" .. name
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

--- The text of a file, or nil.
---@param path string
---@return string?
function M.read(path)
  local file = io.open(path, "r")
  if not file then
    return nil
  end
  local text = file:read("*a")
  file:close()
  return text
end

return M

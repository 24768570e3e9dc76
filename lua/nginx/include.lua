--- Names of files in a configuration: relative ones begin at a folder, wildcards name what is there.
local M = {}

--- Files that include one another further than this are a mistake.
M.DEPTH_MAX = 32

--- The full name of `path`, seen from `folder`.
---@param path string
---@param folder string
---@return string
function M.resolve(path, folder)
  if path:sub(1, 1) == "/" then
    return path
  end
  return (folder:gsub("/*$", "/")) .. path
end

--- Folder of a file: "." when it names none.
---@param path string
---@return string
function M.folder(path)
  local dir = path:match("^(.*)/[^/]*$")
  return dir == "" and "/" or dir or "."
end

--- The files that `include PATTERN` means, sorted. A name without wildcards always means itself, so that its absence is an error.
---@param pattern string
---@param folder string
---@param glob fun(pattern: string): string[]
---@return string[]
function M.files(pattern, folder, glob)
  local path = M.resolve(pattern, folder)
  if not path:find("[*?%[]") then
    return { path }
  end
  local found = {}
  for i, name in ipairs(glob(path) or {}) do
    found[i] = name
  end
  table.sort(found)
  return found
end

return M

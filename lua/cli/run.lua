--- `moongate run HOST=URL …`: the arguments written out as a native configuration, so that there is one way to load.
local M = {}

--- One argument as a site.
---@param arg string
---@return string|nil text, string|nil err
local function site_of(arg)
  local host, target = arg:match("^([^=]*)=(.+)$")
  if not host then
    return nil, ("'%s' is neither a file (NAME.lua) nor HOST=URL"):format(arg)
  end
  local name, port = host:match("^(.-):(%d+)$")
  name = name or host
  if name == "" then
    name = "*"
  end
  local listen = port and ("listen = %q, "):format(":" .. port) or ""
  return ("site %q { %sproxy = %q }"):format(name, listen, target)
end

--- The text of the configuration for `HOST=URL` arguments: `app.example.com=127.0.0.1:3000`, `:8080=http://127.0.0.1:3000`.
---@param args string[]
---@return string|nil text, string|nil err
function M.expand(args)
  local out = {}
  for i, arg in ipairs(args) do
    local text, err = site_of(arg)
    if not text then
      return nil, err
    end
    out[i] = text
  end
  if #out == 0 then
    return nil, "nothing to run: name a file or HOST=URL"
  end
  return table.concat(out, "\n") .. "\n"
end

return M

--- `moongate import nginx.conf`: prints the native form of a configuration in nginx syntax, with comments where there is none.
local conf = require "conf"

local M = {}

local usage = "usage: moongate import FILE.conf\n"

--- Files of the configuration must be there; keys and certificates are only named, and may be on another machine.
local function read(path)
  local f, err = io.open(path, "rb")
  if f then
    local bytes = f:read("*a")
    f:close()
    if bytes then
      return bytes
    end
  end
  local is_secret = path:find("%.pem$") or path:find("%.key$") or path:find("%.crt$") or path:find("htpasswd")
  return is_secret and "" or nil, err
end

---@param args string[]
---@return integer status, string out, string err
function M.main(args)
  local path = args[1]
  if not path or #args ~= 1 or path:sub(1, 1) == "-" then
    return 2, "", usage
  elseif not path:find("%.conf$") then
    return 2, "", ("moongate: import reads nginx syntax; %s does not end in .conf\n"):format(path)
  end
  local text
  local ok, _, diags = conf.load { path = path, only_blocks = true, reader = read, scopes = function(main, c)
    text = require("nginx.native").text(main, c)
  end }
  if not ok or not text then
    return 1, "", conf.report(diags) .. "\n"
  end
  return 0, ("-- From %s by moongate import. Read it before you run it: moongate check FILE.\n\n"):format(path:match("[^/]*$")) .. text, ""
end

return M

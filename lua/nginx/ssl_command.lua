--- ssl_conf_command NAME VALUE, of servers and towards upstreams. What a certificate's files hold becomes part of the model like
--- other certificates: who runs the commands may not be allowed to read them.
local M = {}

local files = {
  ServerInfoFile = true, ChainCAPath = true, ChainCAFile = true, VerifyCAPath = true, VerifyCAFile = true, RequestCAFile = true,
  ClientCAFile = true, RequestCAPath = true, ClientCAPath = true, DHParameters = true,
}
local parts = { Certificate = "cert", PrivateKey = "key" }

--- { name, value }, or { part, file } of a certificate.
function M.parse(d, _, c)
  local name, value = d.args[1], d.args[2]
  if parts[name] then
    local path = c:conf_path(value)
    return { part = parts[name], file = { path = path, bytes = c:need_file(path, d) } }
  end
  return { name, files[name] and c:conf_path(value) or value }
end

--- The certificate and key that the commands name; nil: not both.
---@param commands table[]|nil
---@return table|nil   { cert, key }: { path, bytes } each
function M.pair(commands)
  local pair = {}
  for _, one in ipairs(commands or {}) do
    if one.part then
      pair[one.part] = one.file
    end
  end
  return pair.cert and pair.key and pair or nil
end

--- Names and values of the others, in turns; nil: none.
---@param commands table[]|nil
---@return string[]|nil
function M.list(commands)
  local out = {}
  for _, one in ipairs(commands or {}) do
    if not one.part then
      table.insert(out, one[1])
      table.insert(out, one[2])
    end
  end
  return out[1] and out or nil
end

return M

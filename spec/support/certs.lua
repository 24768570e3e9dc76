--- Certificates for specs, made with the openssl program in a temporary directory and kept for the
--- life of the process.
local tmp = require("spec.support.tmp")

local M = {}

local made = {}

local function openssl(arguments)
  local pipe = assert(io.popen("openssl " .. arguments .. " 2>&1"))
  local output = pipe:read("*a")
  if not pipe:close() or output:find("[Ee]rror") then
    error("openssl " .. arguments .. ": " .. output, 3)
  end
end

local function alt_names(names)
  local parts = {}
  for i, name in ipairs(names) do
    parts[i] = (name:find("^[%d.:]+$") and "IP:" or "DNS:") .. name
  end
  return table.concat(parts, ",")
end

---@class spec.Certificate
---@field cert string  path of fullchain.pem
---@field key string  path of privkey.pem
---@field dir string  the folder of both, as `tls = dir` wants it

--- A self-signed certificate.
---@param ... string  host names and addresses; default localhost and 127.0.0.1
---@return spec.Certificate
function M.make(...)
  local names = { ... }
  if #names == 0 then
    names = { "localhost", "127.0.0.1" }
  end
  local id = table.concat(names, " ")
  if not made[id] then
    made[id] = M.fresh(unpack(names))
  end
  return made[id]
end

--- As `make`, but a new pair at each call: for specs about keys that change.
---@param ... string
---@return spec.Certificate
function M.fresh(...)
  local dir = tmp.dir()
  local result = { dir = dir, cert = dir .. "/fullchain.pem", key = dir .. "/privkey.pem" }
  openssl(("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj '/CN=%s' "
    .. "-addext 'subjectAltName=%s' -keyout %s -out %s"):format((...), alt_names({ ... }), result.key,
    result.cert))
  return result
end

return M

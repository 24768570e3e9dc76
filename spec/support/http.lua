--- What client and origin share: buffered reads from a cqueues socket and HTTP/1 framing. Lenient on
--- purpose (specs look at what was really sent), bounded in time.
local M = {}

---@class spec.Headers
---@field [integer] string[]  name and value, in the order of the wire
local Headers = {}
Headers.__index = Headers

--- The first value of a field, or nil.
---@param name string
---@return string?
function Headers:get(name)
  return self:all(name)[1]
end

--- All values of a field, in order.
---@param name string
---@return string[]
function Headers:all(name)
  local values = {}
  for _, pair in ipairs(self) do
    if pair[1]:lower() == name:lower() then
      values[#values + 1] = pair[2]
    end
  end
  return values
end

local function parse_fields(head)
  local headers = setmetatable({}, Headers)
  for line in head:gmatch("[^\r\n]+") do
    local name, value = line:match("^([^:]+):[ \t]*(.-)[ \t]*$")
    if name then
      headers[#headers + 1] = { name, value }
    end
  end
  return headers
end

M.parse_fields = parse_fields

--- Header lines from a table: { ["X-A"] = "1", { "X-B", "2" } }; named ones are sorted.
---@param headers? table
---@return string
function M.format_fields(headers)
  local lines, named = {}, {}
  for key, value in pairs(headers or {}) do
    if type(key) == "string" then
      named[#named + 1] = key .. ": " .. tostring(value) .. "\r\n"
    end
  end
  table.sort(named)
  for _, pair in ipairs(headers or {}) do
    lines[#lines + 1] = pair[1] .. ": " .. tostring(pair[2]) .. "\r\n"
  end
  return table.concat(named) .. table.concat(lines)
end

--- Does a header table (of format_fields) name the field?
---@param headers? table
---@param name string
---@return boolean
function M.names(headers, name)
  for key, value in pairs(headers or {}) do
    local field = type(key) == "string" and key or value[1]
    if field:lower() == name:lower() then
      return true
    end
  end
  return false
end

--- Makes a socket binary, non-throwing and bounded.
function M.prepare(sock, seconds)
  sock:setmode("bn", "bn")
  sock:onerror(function(_, _, err)
    return err
  end)
  sock:settimeout(seconds)
end

local strerror = require("cqueues.errno").strerror

local function reason(err)
  return err == nil and "closed" or strerror(err) or tostring(err)
end

M.reason = reason

--- Exactly `n` bytes, or nil, reason, what came.
function M.read_exactly(sock, n)
  if n == 0 then
    return ""
  end
  local parts, have = {}, 0
  while have < n do
    local part, err = sock:read(-(n - have))
    if not part or part == "" then
      return nil, reason(err), table.concat(parts)
    end
    parts[#parts + 1] = part
    have = have + #part
  end
  return table.concat(parts)
end

--- Up to the end of the connection; second result: the error when it did not end cleanly.
function M.read_to_end(sock)
  local parts = {}
  while true do
    local part, err = sock:read(-65536)
    if not part or part == "" then
      return table.concat(parts), err and reason(err) or nil
    end
    parts[#parts + 1] = part
  end
end

--- One line with its end.
local function read_line(sock)
  local line, err = sock:read("*L")
  if not line then
    return nil, reason(err)
  end
  return line
end

--- A head (start line, fields) as raw text including the empty line, or nil, reason, what came.
function M.read_head(sock)
  local lines = {}
  while true do
    local line, why = read_line(sock)
    if not line then
      return nil, why, table.concat(lines)
    end
    lines[#lines + 1] = line
    if not line:find("\n$") then
      return nil, "closed", table.concat(lines)
    end
    if (line == "\r\n" or line == "\n") and #lines > 1 then
      return table.concat(lines)
    end
    if line == "\r\n" or line == "\n" then
      lines = {}
    end
  end
end

--- A chunked body: text, trailers, chunk sizes; or nil, reason, what came.
function M.read_chunked(sock)
  local parts, sizes = {}, {}
  while true do
    local line, why = read_line(sock)
    local size = line and tonumber(line:match("^%x+") or "x", 16)
    if not size then
      return nil, why or ("bad chunk size " .. line), table.concat(parts)
    end
    if size == 0 then
      break
    end
    local data, cut, part = M.read_exactly(sock, size)
    if not data then
      return nil, cut, table.concat(parts) .. part
    end
    parts[#parts + 1] = data
    sizes[#sizes + 1] = size
    if not read_line(sock) then
      return nil, "closed", table.concat(parts)
    end
  end
  local trailers = {}
  repeat
    local line, why = read_line(sock)
    if not line then
      return nil, why, table.concat(parts)
    end
    trailers[#trailers + 1] = line
  until line == "\r\n" or line == "\n"
  return table.concat(parts), parse_fields(table.concat(trailers)), sizes
end

--- Writes all bytes; true, or nil and the reason.
function M.write(sock, bytes)
  local ok, err = sock:write(bytes)
  if not ok then
    return nil, reason(err)
  end
  ok, err = sock:flush()
  if not ok then
    return nil, reason(err)
  end
  return true
end

local linger

--- Closes with a reset instead of a FIN.
function M.reset(sock)
  linger = linger or require("posix.sys.socket")
  pcall(linger.setsockopt, sock:pollfd(), linger.SOL_SOCKET, linger.SO_LINGER, 1, 0)
  sock:close()
end

return M

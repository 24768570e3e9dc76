--- Addresses as `listen` and `server` take them: 127.0.0.1:80, [::1]:80, *:80, 80, host, unix:/path.
local M = {}

--- Port 0, any free one, is ours alone.
local function is_port(text)
  local n = tonumber(text)
  return text:match("^%d+$") and n >= 0 and n <= 65535
end

--- "8000-8010" as first and last; one port is both.
local function ports_of(text, range)
  local first, last = text, text
  if range and text:find("-", 1, true) then
    first, last = text:match("^(%d+)%-(%d+)$")
  end
  if not first or not is_port(first) or not is_port(last) then
    return nil
  end
  first, last = tonumber(first), tonumber(last)
  return first <= last and first, last
end

local function split(text)
  if text:find("^%[") then
    local host, rest = text:match("^(%[[%x:.]+%])(.*)$")
    if not host then
      return nil, nil, "invalid IPv6 address"
    elseif rest == "" then
      return host, nil
    end
    return host, rest:match("^:(.+)$") or ""
  end
  local host, port = text:match("^([^:]*):(.*)$")
  if host then
    return host, port
  elseif text:match("^%d+$") or text:match("^%d+%-%d+$") then
    return "*", text
  end
  return text, nil
end

---@class nginx.AddressOptions
---@field port integer          when none is said
---@field listen boolean|nil    "*", a number alone (a port) and ranges of ports are allowed
---@field lookup? fun(host: string): string|nil  address of a host name; absent: names stay

--- The sockets that `text` means, as "host:port"; nil and what is wrong.
---@param text string
---@param opts nginx.AddressOptions
---@return string[]|nil, string|nil
function M.parse(text, opts)
  if text:find("^unix:") then
    return #text > 5 and { text } or nil, "no path in the unix domain socket"
  end
  local host, port, err = split(text)
  if err then
    return nil, err
  end
  local first, last = opts.port, opts.port
  if port then
    first, last = ports_of(port, opts.listen)
    if not first then
      return nil, "invalid port"
    end
  end
  if host == "" then
    return nil, "no host"
  elseif host == "*" then
    if not opts.listen then
      return nil, "no host"
    end
    host = "0.0.0.0"
  elseif opts.lookup and not host:find("^[%d.]+$") and not host:find("^%[") then
    host = opts.lookup(host)
    if not host then
      return nil, "host not found"
    end
  end
  local list = {}
  for n = first, last do
    list[#list + 1] = ("%s:%d"):format(host, n)
  end
  return list
end

return M

--- A small Redis client for hooks (RESP2): pooled connections, one command at a time, errors as values.
---
---   local r, err = redis.new { address = "127.0.0.1:6379", password = nil, database = 0, timeout = 0.1 }
---   local value, err = r:call("GET", "key")         -- nil reply: redis.null
---
--- What does not answer within the timeout is an error and its connection is closed.
local core = require "moongate.core"

local M = {}

--- A reply without a value, to tell it from an error.
M.null = setmetatable({}, { __tostring = function() return "null" end })

local DEPTH_MAX, ITEMS_MAX = 8, 100000

---@class moongate.Redis.Options
---@field address string      "127.0.0.1:6379", "name:port", "unix:/path"
---@field user string|nil
---@field password string|nil
---@field database integer|nil
---@field timeout number|nil  seconds for connecting, for sending and for each reply; 0.1
---@field tls boolean|table|nil
---@field idle number|nil     seconds a connection may idle; 60
---@field pool integer|nil    idle connections per worker; 64

local Client = {}
Client.__index = Client

--- A client; connects when first used.
---@param options moongate.Redis.Options
---@return moongate.Redis|nil, string|nil
function M.new(options)
  local address = options.address
  local host, port = address, nil
  if not address:match("^unix:") then
    host, port = address:match("^%[(.-)%]:(%d+)$")
    if not host then
      host, port = address:match("^([^:]+):?(%d*)$")
    end
    if not host then
      return nil, ("'%s' is not an address such as 127.0.0.1:6379"):format(address)
    end
    port = tonumber(port) or 6379
  end
  return setmetatable({
    host = host, port = port, password = options.password, user = options.user, database = options.database or 0,
    timeout = options.timeout or 0.1, tls = options.tls, idle = options.idle or 60, pool = options.pool or 64,
    pool_name = ("redis %s %s %d"):format(address, options.user or "", options.database or 0),
  }, Client)
end

--- One command as RESP: an array of bulk strings.
local function encode(...)
  local n = select("#", ...)
  local out = { ("*%d\r\n"):format(n) }
  for i = 1, n do
    local v = tostring((select(i, ...)))
    out[#out + 1] = ("$%d\r\n%s\r\n"):format(#v, v)
  end
  return table.concat(out)
end

local read_reply

local function read_bulk(sock, n)
  if n < 0 then
    return M.null
  end
  local data, err = sock:receive(n + 2)
  if not data then
    return nil, err
  end
  return data:sub(1, n)
end

local function read_array(sock, n, depth)
  if n < 0 then
    return M.null
  elseif depth >= DEPTH_MAX or n > ITEMS_MAX then
    return nil, "reply too large"
  end
  local out = {}
  for i = 1, n do
    local v, err, soft = read_reply(sock, depth + 1)
    if v == nil and not soft then
      return nil, err
    end
    out[i] = v == nil and { err = err } or v
  end
  return out
end

--- value; or nil, message, true for an error the server sent; or nil, message for a broken connection.
function read_reply(sock, depth)
  local line, err = sock:receive("*l")
  if not line then
    return nil, err
  end
  local kind, rest = line:sub(1, 1), line:sub(2)
  if kind == "+" then
    return rest
  elseif kind == "-" then
    return nil, rest, true
  end
  local n = tonumber(rest)
  if not n then
    return nil, "not a Redis server"
  elseif kind == ":" then
    return n
  elseif kind == "$" then
    return read_bulk(sock, n)
  elseif kind == "*" then
    return read_array(sock, n, depth)
  end
  return nil, "not a Redis server"
end

local function ask(sock, ...)
  local sent, err = sock:send(encode(...))
  if not sent then
    return nil, err
  end
  return read_reply(sock, 0)
end

--- Says who we are on a new connection.
function Client:greet(sock)
  if self.password then
    local ok, err
    if self.user then
      ok, err = ask(sock, "AUTH", self.user, self.password)
    else
      ok, err = ask(sock, "AUTH", self.password)
    end
    if not ok then
      return nil, err
    end
  end
  if self.database ~= 0 then
    return ask(sock, "SELECT", self.database)
  end
  return true
end

function Client:open()
  local sock = core.tcp()
  sock:timeouts(self.timeout)
  local options = { pool = self.pool_name, tls = self.tls }
  local ok, err
  if self.port then
    ok, err = sock:connect(self.host, self.port, options)
  else
    ok, err = sock:connect(self.host, options)
  end
  if not ok then
    return nil, err
  end
  if sock:reused() == 0 then
    ok, err = self:greet(sock)
    if not ok then
      sock:close()
      return nil, err
    end
  end
  return sock
end

--- Runs one command.
---@return any value, string|nil err, boolean|nil soft  soft: the server itself refused; the connection is fine
function Client:call(...)
  local sock, why = self:open()
  if not sock then
    return nil, why
  end
  local value, err, soft = ask(sock, ...)
  if value == nil and not soft then
    local stale = sock:reused() > 0 and err == "closed"
    sock:close()
    if not stale then
      return nil, err
    end
    -- A pooled connection the server had closed while it was idle: once more, on another one. A server that died between
    -- the command and its reply looks the same; then the command may have been done.
    sock, why = self:open()
    if not sock then
      return nil, why
    end
    value, err, soft = ask(sock, ...)
    if value == nil and not soft then
      sock:close()
      return nil, err
    end
  end
  sock:keepalive(self.idle, self.pool)
  return value, err, soft
end

--- Runs a script by its digest; sends its text when the server does not know it.
---@param script { text: string, sha: string }
---@return any value, string|nil err
function Client:script(script, ...)
  local value, err, soft = self:call("EVALSHA", script.sha, ...)
  if value == nil and soft and err:sub(1, 8) == "NOSCRIPT" then
    value, err = self:call("EVAL", script.text, ...)
  end
  return value, err
end

return M

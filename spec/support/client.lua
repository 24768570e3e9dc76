--- A raw HTTP/1 client: sends the bytes it is given, reads answers parsed or raw, never waits longer
--- than its timeout.
---
---   local c = client.connect(gw.port)
---   c:send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
---   local res = c:response()             -- .status .headers:get("X") .body .raw …
---   client.get(gw.port, "/x").status     -- one request on a connection of its own
local socket = require("cqueues.socket")
local http = require("spec.support.http")
local run = require("spec.support.run")

local M = {}

---@class spec.Client
local Client = {}
Client.__index = Client

---@class spec.Response
---@field status integer
---@field reason string
---@field version string  "1.1"
---@field headers spec.Headers
---@field trailers spec.Headers?
---@field body string
---@field chunks integer[]?  sizes, when chunked
---@field head string  raw bytes of the head
---@field interim spec.Response[]  1xx answers before it
---@field error string?  why the body is incomplete: "closed", a system error; nil when complete

local function tls_object(options)
  local context = require("openssl.ssl.context")
  local ssl = require("openssl.ssl")
  local ctx = context.new("TLS", false)
  ctx:setVerify(context.VERIFY_NONE)
  if options.ca then
    local store = require("openssl.x509.store").new()
    store:add(options.ca)
    ctx:setStore(store)
    ctx:setVerify(context.VERIFY_PEER)
  end
  if options.alpn then
    ctx:setAlpnProtos(options.alpn)
  end
  if options.cert then
    local read = function(path)
      return assert(io.open(path)):read("*a")
    end
    ctx:setCertificate(require("openssl.x509").new(read(options.cert)))
    ctx:setPrivateKey(require("openssl.pkey").new(read(options.key)))
  end
  local object = ssl.new(ctx)
  if options.name then
    object:setHostName(options.name)
  end
  if options.version then
    object:setOptions(options.version)
  end
  return object
end

--- Connects. `where` is a port on 127.0.0.1, "host:port", or "unix:/path".
---@param where integer|string
---@param options? { timeout?: number, tls?: boolean|table, source?: string, may_fail?: boolean }
---   tls = true or { name = SNI, alpn = { "h2" }, ca = path, cert = path, key = path }
---@return spec.Client? client  nil, reason only with may_fail
---@return string? reason
function M.connect(where, options)
  options = options or {}
  local seconds = run.scaled(options.timeout or 5)
  local target = { nodelay = true }
  local path = tostring(where):match("^unix:(.+)")
  if path then
    target.path = path
  else
    target.host, target.port = tostring(where):match("^(.-):?(%d+)$")
    target.host = target.host ~= "" and target.host:gsub("[%[%]]", "") or "127.0.0.1"
    target.bind = options.source and { options.source, 0 }
  end
  local sock = socket.connect(target)
  http.prepare(sock, seconds)
  local ok, err = sock:connect(seconds)
  if ok and options.tls then
    local tls = options.tls == true and {} or options.tls
    ok, err = sock:starttls(tls_object(tls), seconds)
  end
  if not ok then
    sock:close()
    if options.may_fail then
      return nil, http.reason(err)
    end
    error("connect to " .. tostring(where) .. ": " .. http.reason(err), 2)
  end
  local self = setmetatable({ sock = sock, timeout = seconds }, Client)
  run.defer(function()
    self:close()
  end)
  return self
end

--- Sends bytes as they are; nil and the reason when the peer is gone.
---@param bytes string
---@return boolean? ok
---@return string? reason
function Client:send(bytes)
  return http.write(self.sock, bytes)
end

--- Sends a request: Host added unless given, Content-Length when there is a body (a string), chunked
--- framing when the body is a table of strings.
---@param method string
---@param target string
---@param headers? table  { ["X-A"] = "1", { "X-B", "2" } }
---@param body? string|string[]
function Client:request(method, target, headers, body)
  local head = method .. " " .. target .. " HTTP/1.1\r\n"
  if not http.names(headers, "Host") then
    head = head .. "Host: localhost\r\n"
  end
  head = head .. http.format_fields(headers)
  if type(body) == "table" then
    local parts = {}
    for i, part in ipairs(body) do
      parts[i] = ("%x\r\n%s\r\n"):format(#part, part)
    end
    head, body = head .. "Transfer-Encoding: chunked\r\n", table.concat(parts) .. "0\r\n\r\n"
  elseif body and not http.names(headers, "Content-Length") then
    head = head .. "Content-Length: " .. #body .. "\r\n"
  end
  self.head_only = method == "HEAD"
  return self:send(head .. "\r\n" .. (body or ""))
end

local function read_body(self, res)
  local headers = res.headers
  if self.head_only or res.status == 204 or res.status == 304 or res.status < 200 then
    return ""
  end
  local coding = headers:get("Transfer-Encoding")
  local length = tonumber(headers:get("Content-Length"))
  local body, second, third
  if coding and coding:lower():find("chunked") then
    body, second, third = http.read_chunked(self.sock)
    if body then
      res.trailers, res.chunks = second, third
    end
  elseif length then
    body, second, third = http.read_exactly(self.sock, length)
  else
    body, res.error = http.read_to_end(self.sock)
    res.until_close = true
  end
  if not body then
    res.error = second
  end
  return body or third
end

--- Reads one head, parsed; nil, reason and what came when there is none.
---@return spec.Response?
---@return string? reason
---@return string? partial
function Client:head()
  local raw, why, partial = http.read_head(self.sock)
  if not raw then
    return nil, why, partial
  end
  local version, status, reason = raw:match("^HTTP/(%d%.%d) (%d%d%d) ?([^\r\n]*)")
  if not status then
    return nil, "not an answer: " .. raw, raw
  end
  return { version = version, status = tonumber(status), reason = reason, head = raw,
    headers = http.parse_fields(raw:match("\n(.*)")), interim = {} }
end

--- Reads one answer, 1xx answers before it included (101 is final). An error when there is none.
---@param options? { head?: boolean, may_fail?: boolean }  head: the answer to HEAD, no body
---@return spec.Response
function Client:response(options)
  options = options or {}
  if options.head ~= nil then
    self.head_only = options.head
  end
  local interim = {}
  while true do
    local res, why, partial = self:head()
    if not res then
      if options.may_fail then
        return nil, why, partial
      end
      error("no answer: " .. why .. (partial ~= "" and ", got " .. partial or ""), 2)
    end
    if res.status >= 200 or res.status == 101 then
      res.interim = interim
      res.body = res.status == 101 and "" or read_body(self, res)
      return res
    end
    interim[#interim + 1] = res
  end
end

--- Request and answer in one.
---@return spec.Response
function Client:call(method, target, headers, body)
  assert(self:request(method, target, headers, body))
  return self:response()
end

--- GET and its answer.
---@return spec.Response
function Client:get(target, headers)
  return self:call("GET", target, headers)
end

--- Exactly `n` bytes, or nil, reason, what came.
function Client:read(n)
  return http.read_exactly(self.sock, n)
end

--- What is there, at least one byte, at most `n`; nil, reason at the end.
function Client:some(n)
  local part, err = self.sock:read(-(n or 65536))
  if not part or part == "" then
    return nil, http.reason(err)
  end
  return part
end

--- Everything until the peer closes; second result: an error when that was not a clean end.
function Client:rest()
  return http.read_to_end(self.sock)
end

--- Waits until the peer closes (bounded): true, or false when bytes came or time ran out.
---@param seconds? number
---@return boolean
function Client:is_closed(seconds)
  self.sock:settimeout(run.scaled(seconds or 5))
  local part, err = self.sock:read(-1)
  self.sock:settimeout(self.timeout)
  local timed_out = err == require("cqueues.errno").ETIMEDOUT
  return (part == nil or part == "") and not timed_out
end

--- True when nothing arrives and nothing closes for `seconds`.
---@param seconds number
---@return boolean
function Client:is_quiet(seconds)
  self.sock:settimeout(seconds)
  local part, err = self.sock:read(-1)
  self.sock:clearerr()
  self.sock:settimeout(self.timeout)
  return part == nil and err == require("cqueues.errno").ETIMEDOUT
end

--- Sends a FIN, goes on reading.
function Client:shutdown()
  self.sock:shutdown("w")
end

--- The TLS object of luaossl, or nil.
function Client:tls()
  return self.sock:checktls()
end

--- Closes with a reset.
function Client:reset()
  if not self.ended then
    self.ended = true
    http.reset(self.sock)
  end
end

function Client:close()
  if not self.ended then
    self.ended = true
    self.sock:close()
  end
end

--- One request on a connection of its own.
---@param where integer|string
---@param method string
---@param target string
---@param headers? table
---@param body? string|string[]
---@param options? table  those of connect
---@return spec.Response
function M.call(where, method, target, headers, body, options)
  local self = M.connect(where, options)
  local res = self:call(method, target, headers, body)
  self:close()
  return res
end

--- GET on a connection of its own.
---@return spec.Response
function M.get(where, target, headers, options)
  return M.call(where, "GET", target, headers, nil, options)
end

return M

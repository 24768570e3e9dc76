--- A programmable HTTP/1 origin on a free port, in the same loop as the spec.
---
---   local o = origin.start(function(req, res)
---     if req.path == "/slow" then res:hang() end
---     return 200, { ["X-From"] = "origin" }, "hello"
---   end)
---   o.requests[1].raw       -- the head as it came
---
--- A handler either returns status, headers, body, or answers through `res` and returns nothing.
local cqueues = require("cqueues")
local ffi = require("ffi")
local socket = require("cqueues.socket")
local http = require("spec.support.http")
local run = require("spec.support.run")

local M = {}

---@class spec.Request
---@field method string
---@field target string  as sent
---@field path string  the target without its query
---@field query string?
---@field version string  "1.1"
---@field headers spec.Headers
---@field trailers spec.Headers?
---@field body string?  nil until read; read before the handler runs unless the origin is lazy
---@field chunks integer[]?
---@field raw string  the head as it came
---@field conn integer  number of the connection, from 1
---@field error string?  why the body is incomplete
---@field sock table  the cqueues socket

---@class spec.Reply
local Reply = {}
Reply.__index = Reply

--- Bytes as they are. False when the peer is gone.
---@param bytes string
---@return boolean ok
function Reply:raw(bytes)
  self.started = true
  return http.write(self.sock, bytes) == true
end

--- A head without framing of its own.
function Reply:head(status, headers, reason)
  return self:raw(("HTTP/1.1 %d %s\r\n%s\r\n"):format(status, reason or "Origin",
    http.format_fields(headers)))
end

--- A whole answer with Content-Length (unless headers bring a framing).
function Reply:send(status, headers, body)
  body = body or ""
  local framed = http.names(headers, "Content-Length") or http.names(headers, "Transfer-Encoding")
    or status == 204 or status == 304 or status < 200
  local fields = http.format_fields(headers)
  if not framed then
    fields = fields .. "Content-Length: " .. #body .. "\r\n"
  end
  local text = self.req.method == "HEAD" and "" or body
  return self:raw(("HTTP/1.1 %d Origin\r\n%s\r\n%s"):format(status, fields, text))
end

--- Starts a chunked answer; `chunk` and `last` continue it.
function Reply:chunked(status, headers)
  headers = headers or {}
  headers["Transfer-Encoding"] = "chunked"
  return self:head(status, headers)
end

function Reply:chunk(data)
  return self:raw(("%x\r\n%s\r\n"):format(#data, data))
end

function Reply:last(trailers)
  return self:raw("0\r\n" .. http.format_fields(trailers) .. "\r\n")
end

--- Bytes one part at a time with a pause in between.
---@param bytes string
---@param size integer
---@param pause number  seconds
function Reply:drip(bytes, size, pause)
  for at = 1, #bytes, size do
    if not self:raw(bytes:sub(at, at + size - 1)) then
      return false
    end
    cqueues.poll(pause)
  end
  return true
end

--- Says nothing until the peer closes or `seconds` pass; true when the peer closed.
function Reply:hang(seconds)
  self.started = true
  self.sock:settimeout(seconds or run.scaled(15))
  local part = self.sock:read(-1)
  self.done = true
  return part == nil or part == ""
end

--- Waits until released: the spec calls `release()` on the value that `origin.gate()` gave.
function Reply:wait(gate)
  gate:wait()
end

--- Closes the connection now, whatever was promised.
function Reply:cut()
  self.started, self.done = true, true
  self.sock:close()
end

--- Resets the connection now.
function Reply:reset()
  self.started, self.done = true, true
  http.reset(self.sock)
end

---@class spec.Origin
---@field port integer
---@field requests spec.Request[]  in the order in which their heads arrived
---@field connections integer  accepted so far
---@field open integer  open now
local Origin = {}
Origin.__index = Origin

--- The last request.
---@return spec.Request?
function Origin:last()
  return self.requests[#self.requests]
end

--- Forgets the requests so far.
function Origin:clear()
  self.requests = {}
end

--- Replaces the handler.
function Origin:handle(handler)
  self.handler = handler
end

--- Stops listening (connects are refused) but keeps the connections.
function Origin:unlisten()
  if self.listener then
    local listener = self.listener
    self.listener = nil
    cqueues.cancel(listener)
    listener:close()
  end
end

--- Closes all connections, with a reset if asked; the listener stays.
function Origin:drop(reset)
  for sock in pairs(self.socks) do
    self.socks[sock] = nil
    cqueues.cancel(sock)
    if reset then
      http.reset(sock)
    else
      sock:close()
    end
  end
end

function Origin:stop()
  self:unlisten()
  self:drop()
end

local function read_request_body(req)
  local coding = req.headers:get("Transfer-Encoding")
  local length = tonumber(req.headers:get("Content-Length"))
  local body, second, third = "", nil, nil
  if coding and coding:lower():find("chunked") then
    body, second, third = http.read_chunked(req.sock)
    if body then
      req.trailers, req.chunks = second, third
    end
  elseif length then
    body, second, third = http.read_exactly(req.sock, length)
  end
  if not body then
    req.error = second
  end
  req.body = body or third
  return req.error == nil
end

local Request = { read_body = read_request_body }
Request.__index = Request

local function read_request(sock, conn)
  local raw = http.read_head(sock)
  if not raw then
    return nil
  end
  local method, target, version = raw:match("^(%S+) (%S+) HTTP/(%d%.%d)\r?\n")
  local req = setmetatable({ raw = raw, conn = conn, sock = sock, method = method or "?",
    target = target or "?", version = version, headers = http.parse_fields(raw:match("\n(.*)")) }, Request)
  req.path, req.query = req.target:match("^([^?]*)%??(.*)$")
  return req
end

--- Serves one request; false when the connection is over.
local function exchange(self, sock, conn)
  local req = read_request(sock, conn)
  if not req then
    return false
  end
  self.requests[#self.requests + 1] = req
  if not self.lazy and not req:read_body() then
    return false
  end
  local res = setmetatable({ sock = sock, req = req }, Reply)
  local status, headers, body = self.handler(req, res)
  if not res.started and status then
    res:send(status, headers, body)
  end
  local close = res.done or res.close or (req.headers:get("Connection") or ""):lower() == "close"
    or req.version == "1.0" or (status and headers and (headers.Connection or ""):lower() == "close")
  return not close
end

local function serve(self, sock)
  self.connections, self.open = self.connections + 1, self.open + 1
  self.socks[sock] = true
  http.prepare(sock, run.scaled(15))
  local conn = self.connections
  local ok, err = true, nil
  if self.tls then
    ok = sock:starttls(self.tls, run.scaled(5))
  end
  while ok and self.socks[sock] do
    local alive
    ok, alive = xpcall(exchange, debug.traceback, self, sock, conn)
    err = not ok and alive or nil
    ok = ok and alive
  end
  if self.socks[sock] then
    self.socks[sock] = nil
    sock:close()
  end
  self.open = self.open - 1
  if err and not err:find("closed", 1, true) then
    error("origin handler: " .. err, 0)
  end
end

local function accept_all(self)
  local readable = { pollfd = self.listener:pollfd(), events = "r" }
  while self.listener do
    cqueues.poll(readable) -- unlisten() cancels this wait
    local sock = self.listener and self.listener:accept({ nodelay = true }, 0)
    if sock then
      run.spawn(function()
        serve(self, sock)
      end)
    end
  end
end

local function tls_context(files)
  local context = require("openssl.ssl.context")
  local read = function(path)
    return assert(io.open(path)):read("*a")
  end
  local ctx = context.new("TLS", true)
  ctx:setCertificate(require("openssl.x509").new(read(files.cert)))
  ctx:setPrivateKey(require("openssl.pkey").new(read(files.key)))
  return ctx
end

--- Starts an origin on 127.0.0.1; it ends with the spec (or the suite, see spec/support/run.lua).
---@param handler? fun(req: spec.Request, res: spec.Reply): integer?, table?, string?  default: 200 "ok"
---@param options? { tls?: {cert: string, key: string}, lazy?: boolean, host?: string, port?: integer }
---@return spec.Origin
function M.start(handler, options)
  options = options or {}
  local listener = socket.listen({ host = options.host or "127.0.0.1", port = options.port or 0, reuseaddr = true })
  listener:onerror(function(_, _, err)
    return err
  end)
  assert(listener:listen())
  local _, _, port = listener:localname()
  local self = setmetatable({ listener = listener, port = port, requests = {}, connections = 0, open = 0,
    socks = {}, lazy = options.lazy, tls = options.tls and tls_context(options.tls),
    handler = handler or function()
      return 200, { ["Content-Type"] = "text/plain" }, "ok"
    end }, Origin)
  run.spawn(function()
    accept_all(self)
  end)
  run.defer(function()
    self:stop()
  end)
  return self
end

--- A gate that handlers wait at (res:wait(gate)) until the spec opens it.
function M.gate()
  local condition = require("cqueues.condition").new()
  local gate = { opened = false }
  function gate.wait()
    local stop = cqueues.monotime() + run.scaled(15)
    while not gate.opened and cqueues.monotime() < stop do
      condition:wait(stop - cqueues.monotime())
    end
  end
  function gate.open()
    gate.opened = true
    condition:signal()
  end
  return gate
end

-- luaposix' getsockname passes an uninitialised length and mostly returns nothing.
ffi.cdef("int getsockname(int fd, void *address, unsigned int *length);")

local function port_of(fd)
  local address, length = ffi.new("uint8_t[16]"), ffi.new("unsigned int[1]", 16)
  assert(ffi.C.getsockname(fd, address, length) == 0)
  return address[2] * 256 + address[3]
end

local function bound_socket(backlog)
  local posix = require("posix.sys.socket")
  local fd = assert(posix.socket(posix.AF_INET, posix.SOCK_STREAM, 0))
  assert(posix.bind(fd, { family = posix.AF_INET, addr = "127.0.0.1", port = 0 }))
  if backlog then
    assert(posix.listen(fd, backlog))
  end
  run.defer(function()
    require("posix.unistd").close(fd)
  end)
  return port_of(fd)
end

--- A port where connects are refused, and that nobody else gets meanwhile.
---@return integer
function M.dead_port()
  return bound_socket()
end

--- A port where connects are never answered: its queue of pending connections is full.
---@return integer
function M.hole()
  local port = bound_socket(0)
  for _ = 1, 3 do
    local filler = socket.connect({ host = "127.0.0.1", port = port })
    http.prepare(filler, 0.05)
    filler:connect(0.05)
    run.defer(function()
      filler:close()
    end)
  end
  return port
end

return M

--- WebSocket (RFC 6455) over the raw client, and its other end for origins.
---
---   local w = ws.connect(gw.port, "/ws")
---   w:send("hello")
---   local kind, payload = w:receive()     -- "text", "hello"
---
---   origin.start(function(req, res) ws.accept(req, res, function(w) w:echo() end) end)
local bit = require("bit")
local client = require("spec.support.client")
local http = require("spec.support.http")

local M = {}

local opcodes = { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 }
local kinds = {}
for kind, opcode in pairs(opcodes) do
  kinds[opcode] = kind
end

---@class spec.WebSocket
---@field response spec.Response?  of the handshake, at the client's end
local Socket = {}
Socket.__index = Socket

local function mask_bytes(payload, mask)
  local out = {}
  for i = 1, #payload do
    out[i] = string.char(bit.bxor(payload:byte(i), mask:byte((i - 1) % 4 + 1)))
  end
  return table.concat(out)
end

local function length_bytes(n, mask_bit)
  if n < 126 then
    return string.char(mask_bit + n)
  elseif n < 65536 then
    return string.char(mask_bit + 126, math.floor(n / 256), n % 256)
  end
  local bytes = { string.char(mask_bit + 127, 0, 0, 0, 0) }
  for shift = 24, 0, -8 do
    bytes[#bytes + 1] = string.char(math.floor(n / 2 ^ shift) % 256)
  end
  return table.concat(bytes)
end

--- The bytes of one frame.
---@param payload string
---@param kind? string  default "text"
---@param masked? boolean  as a client must
---@param fin? boolean  default true
---@return string
function M.frame(payload, kind, masked, fin)
  local first = opcodes[kind or "text"] + (fin == false and 0 or 128)
  local head = string.char(first) .. length_bytes(#payload, masked and 128 or 0)
  if not masked then
    return head .. payload
  end
  local mask = "\1\2\3\4"
  return head .. mask .. mask_bytes(payload, mask)
end

--- Sends one frame; nil and the reason when the peer is gone.
---@param payload string
---@param kind? string
---@return boolean?, string?
function Socket:send(payload, kind)
  return http.write(self.sock, M.frame(payload, kind, self.masks))
end

--- Reads one frame: its kind, payload and FIN bit; nil and the reason at the end.
---@return string? kind
---@return string? payload
---@return boolean? fin
function Socket:receive()
  local head, why = http.read_exactly(self.sock, 2)
  if not head then
    return nil, why
  end
  local first, second = head:byte(1, 2)
  local n = second % 128
  if n >= 126 then
    local bytes = http.read_exactly(self.sock, n == 126 and 2 or 8) or ""
    n = 0
    for i = 1, #bytes do
      n = n * 256 + bytes:byte(i)
    end
  end
  local mask = second >= 128 and http.read_exactly(self.sock, 4)
  local payload, cut = http.read_exactly(self.sock, n)
  if not payload then
    return nil, cut
  end
  return kinds[first % 16], mask and mask_bytes(payload, mask) or payload, first >= 128
end

--- Answers every text and binary frame with itself until a close frame or the end.
function Socket:echo()
  while true do
    local kind, payload = self:receive()
    if not kind or kind == "close" then
      return
    end
    self:send(payload, kind)
  end
end

function Socket:close()
  self.sock:close()
end

local function accept_key(key)
  local digest = require("openssl.digest").new("sha1")
  local raw = digest:final(key .. "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
  local alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  local out = {}
  for at = 1, #raw, 3 do
    local a, b, c = raw:byte(at, at + 2)
    local n = a * 65536 + (b or 0) * 256 + (c or 0)
    for place = 3, 0, -1 do
      local index = math.floor(n / 64 ^ place) % 64 + 1
      out[#out + 1] = alphabet:sub(index, index)
    end
    if not c then
      out[#out] = "="
    end
    if not b then
      out[#out - 1] = "="
    end
  end
  return table.concat(out)
end

--- Connects and does the handshake; an error when the answer is not a right 101, unless may_fail: then
--- nil and the answer.
---@param where integer|string
---@param target string
---@param headers? table
---@param options? table  those of client.connect
---@return spec.WebSocket?, spec.Response?
function M.connect(where, target, headers, options)
  local c = client.connect(where, options)
  local fields = { Upgrade = "websocket", Connection = "Upgrade", ["Sec-WebSocket-Version"] = "13",
    ["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ==" }
  for name, value in pairs(headers or {}) do
    fields[name] = value
  end
  local res = c:call("GET", target, fields)
  if res.status ~= 101 and options and options.may_fail then
    return nil, res
  end
  assert(res.status == 101, "handshake answered " .. res.head)
  assert(res.headers:get("Sec-WebSocket-Accept") == accept_key(fields["Sec-WebSocket-Key"]),
    "wrong Sec-WebSocket-Accept")
  return setmetatable({ sock = c.sock, client = c, response = res, masks = true }, Socket)
end

--- The origin's end: answers the handshake, then runs `fn` with the socket.
---@param req spec.Request
---@param res spec.Reply
---@param fn fun(w: spec.WebSocket)
function M.accept(req, res, fn)
  res.close = true
  local fields = { Upgrade = "websocket", Connection = "Upgrade",
    ["Sec-WebSocket-Accept"] = accept_key(req.headers:get("Sec-WebSocket-Key") or "") }
  res:raw("HTTP/1.1 101 Switching Protocols\r\n" .. http.format_fields(fields) .. "\r\n")
  fn(setmetatable({ sock = res.sock }, Socket))
end

return M

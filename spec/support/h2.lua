--- A client of HTTP/2 on the level of frames: writes what it is told to (header fields as plain literals), reads frames one by one or an
--- answer as a whole. Header blocks are decoded by libnghttp2's inflater.
---
---   local c = h2.connect(gw.port)
---   local res = c:get("/x")                       -- .status .headers.name .body .trailers .reset
---   local id = c:request { path = "/x", open = true }; c:data(id, "abc", true); c:response(id)
---   c:frame(6, 0, 0, "12345678"); c:expect("PING")
local client = require("spec.support.client")
local ffi = require("ffi")

ffi.cdef [[
typedef struct { uint8_t *name, *value; size_t namelen, valuelen; uint8_t flags; } h2_spec_nv;
int nghttp2_hd_inflate_new(void **out);
void nghttp2_hd_inflate_del(void *inflater);
ssize_t nghttp2_hd_inflate_hd2(void *inflater, h2_spec_nv *nv, int *flags, const uint8_t *in, size_t n, int final);
int nghttp2_hd_inflate_end_headers(void *inflater);
]]

local nghttp2 = ffi.load("nghttp2")
local M = {}

local names = {
  [0] = "DATA", "HEADERS", "PRIORITY", "RST_STREAM", "SETTINGS", "PUSH_PROMISE", "PING", "GOAWAY", "WINDOW_UPDATE", "CONTINUATION",
}

M.PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

local function u32(n)
  return string.char(math.floor(n / 16777216) % 256, math.floor(n / 65536) % 256, math.floor(n / 256) % 256, n % 256)
end
M.u32 = u32

local function number(text, from, to)
  local n = 0
  for i = from, to do
    n = n * 256 + text:byte(i)
  end
  return n
end

local function integer(n)
  if n < 127 then
    return string.char(n)
  end
  local out = "\127"
  n = n - 127
  while n >= 128 do
    out, n = out .. string.char(n % 128 + 128), math.floor(n / 128)
  end
  return out .. string.char(n)
end

--- A header block of literals: { { name, value }, … }
function M.block(fields)
  local out = {}
  for i, f in ipairs(fields) do
    out[i] = "\0" .. integer(#f[1]) .. f[1] .. integer(#f[2]) .. f[2]
  end
  return table.concat(out)
end

function M.frame(kind, flags, id, payload)
  return string.char(math.floor(#payload / 65536), math.floor(#payload / 256) % 256, #payload % 256, kind, flags) .. u32(id) .. payload
end

local Client = {}
Client.__index = Client

function Client:frame(kind, flags, id, payload)
  return self.c:send(M.frame(kind, flags, id, payload or ""))
end

--- Opens a stream. o: method, path, scheme, authority, headers ({ {name, value} }), fields (instead of all), open (no END_STREAM), body.
---@return integer id
function Client:request(o)
  local id = self.next_id
  self.next_id = id + 2
  local fields = o.fields or { { ":method", o.method or (o.body and "POST" or "GET") }, { ":scheme", o.scheme or "http" },
    { ":path", o.path or "/" }, { ":authority", o.authority or "localhost" } }
  for _, f in ipairs(o.headers or {}) do
    fields[#fields + 1] = f
  end
  self:frame(1, (o.open or o.body) and 4 or 5, id, M.block(fields))
  if o.body then
    self:data(id, o.body, not o.open)
  end
  return id
end

function Client:data(id, bytes, last)
  self:frame(0, last and 1 or 0, id, bytes)
end

function Client:inflate(block)
  local nv, flags = ffi.new("h2_spec_nv"), ffi.new("int[1]")
  local headers, at = {}, 0
  local bytes = ffi.cast("const uint8_t *", block)
  repeat
    local n = tonumber(nghttp2.nghttp2_hd_inflate_hd2(self.inflater, nv, flags, bytes + at, #block - at, 1))
    assert(n >= 0, "header block cannot be decoded")
    at = at + n
    if flags[0] % 4 >= 2 then
      local name, value = ffi.string(nv.name, nv.namelen), ffi.string(nv.value, nv.valuelen)
      headers[#headers + 1] = { name, value }
      headers[name] = headers[name] and headers[name] .. ", " .. value or value
    end
  until flags[0] % 2 == 1
  nghttp2.nghttp2_hd_inflate_end_headers(self.inflater)
  return headers
end

--- The next frame { type, flags, id, payload … }; nil and the reason at the end.
function Client:read()
  local head, why = self.c:read(9)
  if not head then
    return nil, why
  end
  local n = number(head, 1, 3)
  local f = { type = names[head:byte(4)] or head:byte(4), flags = head:byte(5), id = number(head, 6, 9) }
  f.payload = n > 0 and self.c:read(n) or ""
  f.last = (f.type == "DATA" or f.type == "HEADERS") and f.flags % 2 == 1
  if f.type == "HEADERS" then
    f.headers = self:inflate(f.payload)
  elseif f.type == "RST_STREAM" then
    f.code = number(f.payload, 1, 4)
  elseif f.type == "GOAWAY" then
    f.last_id, f.code = number(f.payload, 1, 4), number(f.payload, 5, 8)
  elseif f.type == "WINDOW_UPDATE" then
    f.more = number(f.payload, 1, 4)
  elseif f.type == "SETTINGS" and f.flags == 0 then
    f.settings = {}
    for i = 1, #f.payload, 6 do
      f.settings[number(f.payload, i, i + 1)] = number(f.payload, i + 2, i + 5)
    end
    self.settings = f.settings
  end
  return f
end

--- Reads on to a frame of this type (and stream); nil when the connection ends before.
function Client:expect(kind, id)
  while true do
    local f, why = self:read()
    if not f then
      return nil, why
    elseif f.type == kind and (not id or f.id == id) then
      return f
    end
    self.kept[#self.kept + 1] = f
  end
end

local function apply(res, f)
  if f.type == "HEADERS" then
    local status = tonumber(f.headers[":status"])
    if status and status < 200 then
      res.interim[#res.interim + 1] = status
    elseif status then
      res.status, res.headers = status, f.headers
    else
      res.trailers = f.headers
    end
  elseif f.type == "DATA" then
    res.body, res.frames = res.body .. f.payload, res.frames + 1
  elseif f.type == "RST_STREAM" then
    res.reset = f.code
  end
  return f.last or res.reset
end

--- The whole answer on a stream: until END_STREAM, a reset, or the end of the connection. Frames of other streams are kept for their turn.
--- Windows are opened as bytes come, unless the client is `slow`.
function Client:response(id)
  local res = { body = "", interim = {}, frames = 0 }
  local kept = self.kept
  self.kept = {}
  for _, f in ipairs(kept) do
    if f.id ~= id then
      self.kept[#self.kept + 1] = f
    elseif apply(res, f) then
      res.ended = true
    end
  end
  while not res.ended do
    local f, why = self:read()
    if not f then
      res.error = why
      return res
    elseif f.type == "DATA" and #f.payload > 0 and not self.slow then
      self:frame(8, 0, 0, u32(#f.payload))
      self:frame(8, 0, f.id, u32(#f.payload))
    end
    if f.type == "GOAWAY" then
      res.goaway = f
      self.goaway = f
    end
    if f.id ~= id then
      self.kept[#self.kept + 1] = f
    elseif apply(res, f) then
      res.ended = true
    end
  end
  return res
end

function Client:call(o)
  return self:response(self:request(o))
end

function Client:get(path, headers)
  return self:call { path = path, headers = headers }
end

--- Connects and says hello. o: those of client.connect (tls gets ALPN h2), settings (payload of SETTINGS), slow.
function M.connect(where, o)
  o = o or {}
  if o.tls then
    o.tls = o.tls == true and {} or o.tls
    o.tls.alpn = o.tls.alpn or { "h2" }
  end
  local out = ffi.new("void *[1]")
  assert(nghttp2.nghttp2_hd_inflate_new(out) == 0)
  local self = setmetatable({ c = client.connect(where, o), next_id = 1, kept = {}, slow = o.slow,
    inflater = ffi.gc(out[0], nghttp2.nghttp2_hd_inflate_del) }, Client)
  self.c:send((o.preface or M.PREFACE) .. M.frame(4, 0, 0, o.settings or ""))
  if not o.silent then
    self:expect("SETTINGS")
    self:frame(4, 1, 0)
  end
  return self
end

return M

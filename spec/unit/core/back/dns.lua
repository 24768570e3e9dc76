--- A DNS server on 127.0.0.1 for A records, polled between turns of the loop: zone["name"] = { "10.0.0.1", ..., ttl = n }.
local net = require("spec.unit.core.net.support")
local unit, ffi = net.unit, net.ffi
local C = unit.use("net/resolve.h")

unit.cdef([[
  int bind(int, const struct sockaddr *, socklen_t);
  int getsockname(int, struct sockaddr *, socklen_t *);
  ssize_t recvfrom(int, void *, size_t, int, struct sockaddr *, socklen_t *);
  ssize_t sendto(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
]])

local Dns = {}
Dns.__index = Dns

--- A server for this zone, which may be changed at any time.
function Dns.new(zone)
  local fd = ffi.C.socket(2, 0x802, 0) -- datagram, non-blocking
  local a = net.addr("127.0.0.1:0")
  assert(ffi.C.bind(fd, ffi.cast("struct sockaddr *", a.sa), 16) == 0)
  local name, len = ffi.new("struct sockaddr[2]"), ffi.new("socklen_t[1]", 32)
  ffi.C.getsockname(fd, name, len)
  C.addr_from_sockaddr(a, name, len[0])
  return setmetatable({ fd = fd, zone = zone, port = C.addr_port(a), queries = 0 }, Dns)
end

--- A resolver that asks this server.
function Dns:resolver()
  local args = ffi.new("struct resolver_args")
  self.text = "127.0.0.1:" .. self.port
  args.servers, args.timeout_ms, args.ipv4 = self.text, 1500, true
  local r = C.resolver_new(net.loop(), args)
  assert(r ~= nil)
  return r
end

local function u16(n)
  return string.char(bit.rshift(n, 8), bit.band(n, 255))
end

function Dns:answer(packet)
  local labels, at = {}, 13
  while packet:byte(at) > 0 do
    local n = packet:byte(at)
    labels[#labels + 1] = packet:sub(at + 1, at + n)
    at = at + n + 1
  end
  self.queries = self.queries + 1
  local zone = self.zone[table.concat(labels, "."):lower()]
  local records = {}
  for i, ip in ipairs(zone and packet:byte(at + 2) == 1 and zone or {}) do
    local data = ip:gsub("(%d+)%.?", function(octet)
      return string.char(tonumber(octet))
    end)
    records[i] = "\192\12" .. u16(1) .. u16(1) .. u16(0) .. u16(zone.ttl or 60) .. u16(4) .. data
  end
  return packet:sub(1, 2) .. u16(0x8180 + (zone and 0 or 3)) .. u16(1) .. u16(#records) .. u16(0) .. u16(0)
    .. packet:sub(13, at + 4) .. table.concat(records)
end

--- Answers what has arrived.
function Dns:poll()
  local buf, from, len = ffi.new("char[1500]"), ffi.new("struct sockaddr[2]"), ffi.new("socklen_t[1]")
  while true do
    len[0] = 32
    local n = tonumber(ffi.C.recvfrom(self.fd, buf, 1500, 0, from, len))
    if n <= 0 then
      return
    end
    local reply = self:answer(ffi.string(buf, n))
    ffi.C.sendto(self.fd, reply, #reply, 0, from, len[0])
  end
end

function Dns:close()
  ffi.C.close(self.fd)
end

return Dns

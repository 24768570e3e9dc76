--- A DNS server on 127.0.0.1 in the spec's loop: A and SRV records of a zone that may change at any time.
---
---   local d = dns.start { ["app.test"] = { "127.0.0.2", ttl = 1 } }
---   d.zone["_http._tcp.app.test"] = { { port = 80, priority = 1, weight = 1, target = "app.test" }, { raw = "not a record" } }
---   d.zone["app.test"] = { "127.0.0.3", ttl = 1 }
---   d.mode = "servfail"     -- or "silent", nil: answers
---   d.port, d.queries
local cqueues = require("cqueues")
local run = require("spec.support.run")
local sock = require("posix.sys.socket")
local unistd = require("posix.unistd")

local M = {}

local Server = {}
Server.__index = Server

local function u16(n)
  return string.char(math.floor(n / 256) % 256, n % 256)
end

local function name_bytes(name)
  return name == "." and "\0" or (name:gsub("([^.]+)%.?", function(label)
    return string.char(#label) .. label
  end)) .. "\0"
end

local TYPE_A, TYPE_SRV = 1, 33

--- Records of one type as they go over the wire.
local function records_of(entry, qtype)
  local out = {}
  for _, r in ipairs(entry or {}) do
    local data
    if type(r) == "string" and qtype == TYPE_A then
      data = r:gsub("(%d+)%.?", function(octet)
        return string.char(tonumber(octet))
      end)
    elseif type(r) == "table" and r.raw and qtype == TYPE_SRV then
      data = r.raw
    elseif type(r) == "table" and qtype == TYPE_SRV then
      data = u16(r.priority or 1) .. u16(r.weight or 1) .. u16(r.port) .. name_bytes(r.target)
    end
    if data then
      out[#out + 1] = "\192\12" .. u16(qtype) .. u16(1) .. u16(0) .. u16(entry.ttl or 60) .. u16(#data) .. data
    end
  end
  return out
end

function Server:answer(packet)
  local labels, at = {}, 13
  while packet:byte(at) and packet:byte(at) > 0 do
    local n = packet:byte(at)
    labels[#labels + 1] = packet:sub(at + 1, at + n)
    at = at + n + 1
  end
  local entry = self.zone[table.concat(labels, "."):lower()]
  local records = self.mode ~= "servfail" and records_of(entry, packet:byte(at + 2)) or {}
  local code = self.mode == "servfail" and 2 or entry and 0 or 3
  return packet:sub(1, 2) .. u16(0x8180 + code) .. u16(1) .. u16(#records) .. u16(0) .. u16(0)
    .. packet:sub(13, at + 4) .. table.concat(records)
end

function Server:serve()
  while not self.closed do
    cqueues.poll({ pollfd = self.fd, events = "r" }, 0.2)
    local packet, from = sock.recvfrom(self.fd, 1500)
    if packet then
      self.queries = self.queries + 1
      if self.mode ~= "silent" then
        sock.sendto(self.fd, self:answer(packet), from)
      end
    end
  end
  cqueues.cancel(self.fd)
  unistd.close(self.fd)
end

function Server:close()
  self.closed = true
end

--- Starts it; it ends with the spec.
---@param zone table<string, table>
function M.start(zone)
  local fd = assert(sock.socket(sock.AF_INET, sock.SOCK_DGRAM, 0))
  assert(sock.bind(fd, { family = sock.AF_INET, addr = "127.0.0.1", port = 0 }))
  local fcntl = require("posix.fcntl")
  fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.O_NONBLOCK)
  local self = setmetatable({ fd = fd, zone = zone, queries = 0, port = sock.getsockname(fd).port }, Server)
  run.spawn(function()
    self:serve()
  end)
  run.defer(function()
    self:close()
  end)
  return self
end

return M

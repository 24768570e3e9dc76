local net = require("spec.unit.core.net.support")
local ffi, C, E, unit = net.ffi, net.C, net.E, net.unit
local loop = net.loop()

unit.use("net/resolve.h")
unit.cdef([[
  int bind(int, const struct sockaddr *, socklen_t);
  int getsockname(int, struct sockaddr *, socklen_t *);
  ssize_t recvfrom(int, void *, size_t, int, struct sockaddr *, socklen_t *);
  ssize_t sendto(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
]])

local function u16(n)
  return string.char(bit.rshift(n, 8), bit.band(n, 255))
end

local function qname(packet)
  local labels, at = {}, 13
  while packet:byte(at) > 0 do
    local n = packet:byte(at)
    labels[#labels + 1] = packet:sub(at + 1, at + n)
    at = at + n + 1
  end
  return table.concat(labels, "."):lower(), packet:byte(at + 1) * 256 + packet:byte(at + 2), packet:sub(13, at + 4)
end

--- A DNS server on 127.0.0.1 that is polled between turns of the loop. zone[name] = { a = {..}, aaaa = {..}, ttl, rcode,
--- silent }; a name without an entry does not exist.
local Dns = {}
Dns.__index = Dns

local function dns(zone)
  local fd = ffi.C.socket(2, 0x802, 0) -- datagram, non-blocking
  local a = net.addr("127.0.0.1:0")
  assert(ffi.C.bind(fd, ffi.cast("struct sockaddr *", a.sa), 16) == 0)
  local name, len = ffi.new("struct sockaddr[2]"), ffi.new("socklen_t[1]", 32)
  ffi.C.getsockname(fd, name, len)
  C.addr_from_sockaddr(a, name, len[0])
  return setmetatable({ fd = fd, zone = zone, port = C.addr_port(a), queries = 0 }, Dns)
end

local function bytes_of(text)
  local a = net.addr(text)
  if a.sa.sa_family == 2 then
    return ffi.string(ffi.cast("char *", a.sa) + 4, 4)
  end
  return ffi.string(ffi.cast("char *", a.sa) + 8, 16)
end

function Dns:answer(packet)
  local name, qtype, question = qname(packet)
  self.queries = self.queries + 1
  local zone = self.zone[name]
  if zone and zone.silent then
    return nil
  end
  local list = zone and ((qtype == 1 and zone.a) or (qtype == 28 and zone.aaaa)) or {}
  local rcode = zone and (zone.rcode or 0) or 3
  local records = {}
  for i, ip in ipairs(rcode == 0 and list or {}) do
    local data = bytes_of(ip)
    records[i] = "\192\12" .. u16(qtype) .. u16(1) .. u16(0) .. u16(zone.ttl or 60) .. u16(#data) .. data
  end
  return packet:sub(1, 2) .. u16(0x8180 + rcode) .. u16(1) .. u16(#records) .. u16(0) .. u16(0) .. question
    .. table.concat(records)
end

function Dns:poll()
  local buf, from, len = ffi.new("char[1500]"), ffi.new("struct sockaddr[2]"), ffi.new("socklen_t[1]")
  while true do
    len[0] = 32
    local n = tonumber(ffi.C.recvfrom(self.fd, buf, 1500, 0, from, len))
    if n <= 0 then
      return
    end
    local reply = self:answer(ffi.string(buf, n))
    if reply then
      ffi.C.sendto(self.fd, reply, #reply, 0, from, len[0])
    end
  end
end

local function resolver(server, options)
  local args = ffi.new("struct resolver_args", options or {})
  if args.timeout_ms == 0 then
    args.timeout_ms = 1500
  end
  local servers = "127.0.0.1:" .. server.port
  args.servers = servers
  if not (options and options.ipv6) then
    args.ipv4 = true
  end
  local r = C.resolver_new(loop, args)
  assert(r ~= nil)
  return r, servers
end

local function texts(answer)
  local list, buf = {}, ffi.new("char[64]")
  for i = 0, answer.n - 1 do
    list[#list + 1] = ffi.string(buf, C.addr_print_ip(answer.v[i], buf, 64))
  end
  return list
end

--- Asks and waits: code, addresses, answer.
local function ask(server, r, name)
  local answer = ffi.new("resolve_answer")
  local j, count = net.job()
  local q = C.resolve_start(r, unit.str(name), j)
  net.wait("the answer for " .. name, function()
    server:poll()
    return count.n > 0
  end)
  local code = C.resolve_result(q, answer)
  return code, code == 0 and texts(answer) or nil, answer
end

describe("net/resolve", function()
  local server

  before_each(function()
    server = dns({
      ["one.test"] = { a = { "10.0.0.1" } },
      ["many.test"] = { a = { "10.0.0.3", "10.0.0.1", "10.0.0.2" }, aaaa = { "2001:db8::1" } },
      ["short.test"] = { a = { "10.0.0.9" }, ttl = 0 },
      ["mute.test"] = { silent = true },
    })
  end)

  after_each(function()
    ffi.C.close(server.fd)
  end)

  it("answers with the addresses of a name in the order DNS gave them", function()
    local r = resolver(server)
    local code, list, answer = ask(server, r, "many.test")
    assert.equal(0, code)
    assert.same({ "10.0.0.3", "10.0.0.1", "10.0.0.2" }, list)
    assert.is_true(answer.ttl_ms > 50000 and answer.ttl_ms <= 60000)
    assert.is_false(answer.stale)
    C.resolver_free(r)
  end)

  it("asks for both families when told to, IPv4 first", function()
    local r = resolver(server, { ipv4 = true, ipv6 = true })
    local _, list = ask(server, r, "many.test")
    assert.same({ "10.0.0.3", "10.0.0.1", "10.0.0.2", "2001:db8::1" }, list)
    C.resolver_free(r)
  end)

  it("asks once and serves the rest from the cache, whatever the case of the name", function()
    local r = resolver(server)
    ask(server, r, "one.test")
    local asked = server.queries
    local answer = ffi.new("resolve_answer")
    assert.equal(0, C.resolve_cached(r, unit.str("ONE.test."), answer))
    assert.same({ "10.0.0.1" }, texts(answer))
    assert.equal(0, (ask(server, r, "One.Test")))
    assert.equal(asked, server.queries)
    C.resolver_free(r)
  end)

  it("joins queries for one name", function()
    local r = resolver(server)
    local answer, queries, done = ffi.new("resolve_answer"), {}, 0
    local j = {}
    for i = 1, 5 do
      j[i] = net.job(function() done = done + 1 end)
      queries[i] = C.resolve_start(r, unit.str("one.test"), j[i])
    end
    assert.equal(E.ERR_AGAIN, C.resolve_result(queries[1], answer))
    net.wait("all", function()
      server:poll()
      return done == 5
    end)
    for i = 1, 5 do
      assert.equal(0, C.resolve_result(queries[i], answer))
    end
    assert.equal(1, server.queries)
    C.resolver_free(r)
  end)

  it("remembers for a while that a name does not exist", function()
    local r = resolver(server)
    assert.equal(E.ERR_RESOLVE, (ask(server, r, "nowhere.test")))
    local asked = server.queries
    local answer = ffi.new("resolve_answer")
    assert.equal(E.ERR_RESOLVE, C.resolve_cached(r, unit.str("nowhere.test"), answer))
    assert.equal(E.ERR_RESOLVE, (ask(server, r, "nowhere.test")))
    assert.equal(asked, server.queries)
    C.resolver_free(r)
  end)

  it("ends at its deadline when nobody answers", function()
    local r = resolver(server, { timeout_ms = 100 })
    assert.equal(E.ERR_TIMEOUT, (ask(server, r, "mute.test")))
    C.resolver_free(r)
  end)

  it("asks again when the answer has aged, and uses the old one while DNS fails", function()
    local r = resolver(server, { min_ttl_ms = 20, timeout_ms = 300 })
    assert.equal(0, (ask(server, r, "short.test")))
    server.zone["short.test"].rcode = 2
    local answer = ffi.new("resolve_answer")
    net.wait("age", function() return C.resolve_cached(r, unit.str("short.test"), answer) == E.ERR_AGAIN end)
    local code, list, stale = ask(server, r, "short.test")
    assert.equal(0, code)
    assert.same({ "10.0.0.9" }, list)
    assert.is_true(stale.stale)
    server.zone["short.test"] = { a = { "10.0.0.8" } }
    net.wait("recovery", function()
      local _, now = ask(server, r, "short.test")
      C.loop_turn(loop, 10)
      return now[1] == "10.0.0.8"
    end)
    C.resolver_free(r)
  end)

  it("does not use old answers beyond their stale time", function()
    local r = resolver(server, { min_ttl_ms = 10, stale_ms = 1, timeout_ms = 200 })
    assert.equal(0, (ask(server, r, "short.test")))
    server.zone["short.test"].rcode = 2
    local answer = ffi.new("resolve_answer")
    net.wait("age", function() return C.resolve_cached(r, unit.str("short.test"), answer) == E.ERR_AGAIN end)
    C.loop_turn(loop, 20)
    assert.is_true(ask(server, r, "short.test") < 0)
    C.resolver_free(r)
  end)

  it("answers literals itself and refuses what is no name", function()
    local r = resolver(server)
    local answer = ffi.new("resolve_answer")
    assert.equal(0, C.resolve_cached(r, unit.str("10.1.2.3"), answer))
    assert.same({ "10.1.2.3" }, texts(answer))
    assert.equal(0, (ask(server, r, "2001:db8::5")))
    for _, name in ipairs({ "", ".", "a b", "x\0y", ("x"):rep(300), "10.1.2.3:80", "http://x" }) do
      assert.equal(E.ERR_RESOLVE, (ask(server, r, name)), name)
    end
    assert.equal(0, server.queries)
    C.resolver_free(r)
  end)

  it("finds names of the hosts file without asking", function()
    local r = resolver(server)
    local code, list = ask(server, r, "localhost")
    assert.equal(0, code)
    assert.equal("127.0.0.1", list[1])
    assert.equal(0, server.queries)
    C.resolver_free(r)
  end)

  it("lets a cancelled query go without waking it", function()
    local r = resolver(server)
    local j, count = net.job()
    C.resolve_cancel(C.resolve_start(r, unit.str("one.test"), j))
    local answer = ffi.new("resolve_answer")
    net.wait("the cache", function()
      server:poll()
      return C.resolve_cached(r, unit.str("one.test"), answer) == 0
    end)
    assert.equal(0, count.n)
    C.resolver_free(r)
  end)

  it("ends open queries when it goes away", function()
    local r = resolver(server)
    local answer = ffi.new("resolve_answer")
    local q = C.resolve_start(r, unit.str("mute.test"), nil)
    C.resolver_free(r)
    assert.equal(E.ERR_CANCELLED, C.resolve_result(q, answer))
  end)

  it("keeps a bounded number of names", function()
    local r = resolver(server)
    local answer = ffi.new("resolve_answer")
    ask(server, r, "one.test")
    local waiting = {}
    for i = 1, 4096 do
      waiting[i] = C.resolve_start(r, unit.str(("n%d.test"):format(i)), nil)
      if i % 64 == 0 then
        server:poll()
        net.settle()
      end
    end
    assert.equal(E.ERR_AGAIN, C.resolve_cached(r, unit.str("one.test"), answer))
    for _, q in ipairs(waiting) do
      C.resolve_cancel(q)
    end
    C.resolver_free(r)
  end)

  it("refuses a server list that is none", function()
    local args = ffi.new("struct resolver_args", { servers = "not an address" })
    assert.is_true(C.resolver_new(loop, args) == nil)
  end)
end)

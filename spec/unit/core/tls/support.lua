--- Contexts, certificates and handshakes between two streams of one loop, for the specs of tls/.
local net = require("spec.unit.core.net.support")
local tmp = require("spec.support.tmp")
local ffi, unit = net.ffi, net.unit

unit.use("tls/ctx.h", "tls/stream_tls.h", "tls/hook.h")

local M = { net = net, ffi = ffi, unit = unit, C = net.C, E = net.E }
local C, E = M.C, M.E
local loop = net.loop()

local anchors = {}
local function keep(value)
  anchors[#anchors + 1] = value
  return value
end
M.keep = keep

function M.str(text)
  return unit.str(keep(text))
end

local function read(path)
  local f = assert(io.open(path))
  local text = f:read("*a")
  f:close()
  return text
end

local made = {}

--- PEM texts of a self-signed certificate. `kind`: "ec" (default), "rsa"; `more`: further openssl req arguments.
---@return table  { cert = text, key = text }
function M.pem(names, kind, more)
  local id = table.concat({ names, kind or "ec", more or "" }, "|")
  if not made[id] then
    local dir = tmp.dir()
    local alg = kind == "rsa" and "rsa:2048" or "ec -pkeyopt ec_paramgen_curve:prime256v1"
    local alt = names:gsub("[^,]+", function(n) return (n:find("^[%d.:]+$") and "IP:" or "DNS:") .. n end)
    assert(os.execute(("openssl req -x509 -newkey %s -nodes -subj '/CN=%s' -addext 'subjectAltName=%s' -keyout %s/k "
      .. "-out %s/c %s >/dev/null 2>&1"):format(alg, names:match("[^,]+"), alt, dir, dir, more or "-days 30")) == 0)
    made[id] = { cert = read(dir .. "/c"), key = read(dir .. "/k"), dir = dir }
  end
  return made[id]
end

function M.cert_args(pem)
  return ffi.new("struct tls_cert_args", { cert_pem = M.str(pem.cert), key_pem = M.str(pem.key) })
end

local err = ffi.new("char[256]")
function M.error_text()
  return ffi.string(err)
end
M.err = err

--- Names: "a.test,*.b.test".
function M.add(server, pem, names)
  local list = {}
  for name in (names or ""):gmatch("[^,]+") do
    list[#list + 1] = M.str(name)
  end
  local v = ffi.new("str[?]", #list + 1)
  for i, s in ipairs(list) do
    v[i - 1] = s
  end
  return C.tls_server_add(server, M.cert_args(pem), v, #list, err, 256)
end

function M.server(options, pem, names)
  local args = ffi.new("struct tls_server_args", options or {})
  if args.id_context == nil then
    args.id_context = keep("spec")
  end
  local t = C.tls_server_new(args, err, 256)
  assert(t ~= nil, M.error_text())
  if pem then
    assert(M.add(t, pem, names or "localhost") == 0, M.error_text())
  end
  return t
end

function M.client(options)
  local t = C.tls_client_new(ffi.new("struct tls_client_args", options or {}), err, 256)
  assert(t ~= nil, M.error_text())
  return t
end

--- Two plain streams connected to each other.
function M.streams()
  local fd, at = net.listen()
  local c, s = keep(ffi.new("stream")), keep(ffi.new("stream"))
  local cj, sj = net.job(), net.job()
  assert(C.connect_start(c, loop, at, nil, cj) == 0)
  local accepted
  net.wait("connect", function()
    if not accepted and net.peer(fd):ready(1, 0) then
      accepted = ffi.C.accept4(fd, nil, nil, 0x800)
    end
    return accepted and C.connect_finish(c) == 0
  end)
  assert(C.stream_open(s, loop, accepted, sj, 0) == 0)
  ffi.C.close(fd)
  return s, c
end

--- Drives both sides until both have a result: the two codes.
function M.shake(s, c)
  local sr, cr
  net.wait("the handshake", function()
    sr = (sr == nil or sr == E.ERR_AGAIN) and C.stream_tls_handshake(s) or sr
    cr = (cr == nil or cr == E.ERR_AGAIN) and C.stream_tls_handshake(c) or cr
    return sr ~= E.ERR_AGAIN and cr ~= E.ERR_AGAIN
  end)
  return sr, cr
end

--- A TLS connection: streams and codes.
function M.connect(server, client, name, slot)
  local s, c = M.streams()
  assert(C.stream_tls_server(s, server) == 0)
  local r = C.stream_tls_client(c, client, M.str(name or "localhost"), slot)
  assert(r == 0 or r == E.ERR_INVALID)
  local sr, cr = M.shake(s, c)
  return { s = s, c = c, sr = sr, cr = cr }
end

function M.close(pair)
  C.stream_close(pair.s)
  C.stream_close(pair.c)
end

--- Reads n bytes of plaintext, flushing `other` meanwhile; fewer at an end.
function M.read(s, n, other)
  local parts, have, r = {}, 0, nil
  net.wait("plaintext", function()
    if other then
      local _ = C.stream_flush(other)
    end
    repeat
      r = net.fill(s)
      if r > 0 then
        parts[#parts + 1] = net.input(s)
        have = have + r
        net.consume_all(s)
      end
    until r <= 0
    return have >= n or r ~= E.ERR_AGAIN
  end)
  return table.concat(parts), r
end

function M.facts(s)
  local f = ffi.new("struct stream_tls_facts")
  C.stream_tls_facts(s, f)
  return { protocol = unit.text(f.protocol), cipher = unit.text(f.cipher), alpn = unit.text(f.alpn),
    server_name = unit.text(f.server_name), resumed = f.resumed }
end

function M.why(s)
  return ffi.string(C.stream_tls_error(s))
end

return M

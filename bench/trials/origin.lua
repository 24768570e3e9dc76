--- An origin as a process of its own, fast where it answers well and wrong in every way that is asked for by the path. Prints
--- "listening on 127.0.0.1:PORT". A query argument of the same name as a knob sets it: /drip?bytes=1000000&rate=100000.
local cqueues = require("cqueues")
local socket = require("cqueues.socket")
local http = require("spec.support.http")
local ws = require("spec.support.ws")
local lib = require("bench.trials.lib")

local answers = {}
local FINE = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n"

--- What is in front of the body of a download.
local function head_of(bytes)
  return "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: " .. bytes .. "\r\n\r\n"
end

local function send_pattern(sock, bytes, piece, pause)
  local at = 0
  while at < bytes do
    local n = math.min(piece, bytes - at)
    if not http.write(sock, lib.pattern(at, n)) then
      return false
    end
    at = at + n
    if pause > 0 then
      cqueues.sleep(pause)
    end
  end
  return true
end

function answers.bulk(req)
  local bytes = req.number("bytes", 1e6)
  return http.write(req.sock, head_of(bytes)) and send_pattern(req.sock, bytes, 65536, 0)
end

--- The same slowly: `rate` bytes a second, in 20 pieces a second.
function answers.drip(req)
  local bytes, rate = req.number("bytes", 1e6), req.number("rate", 1e5)
  return http.write(req.sock, head_of(bytes)) and send_pattern(req.sock, bytes, math.ceil(rate / 20), 0.05)
end

function answers.chunked(req)
  http.write(req.sock, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n")
  for i = 1, req.number("pieces", 20) do
    local piece = lib.pattern(i * 100, 1 + i * 37 % 3000)
    if not http.write(req.sock, ("%x\r\n%s\r\n"):format(#piece, piece)) then
      return false
    end
  end
  return http.write(req.sock, "0\r\nX-End: yes\r\n\r\n")
end

function answers.ws(req)
  local res = { sock = req.sock, raw = function(res, bytes)
    return http.write(res.sock, bytes)
  end }
  ws.accept({ headers = http.parse_fields(req.head) }, res, function(peer)
    peer:echo()
  end)
  return false
end

function answers.sleep(req)
  cqueues.sleep(req.number("ms", 100) / 1000)
  return http.write(req.sock, FINE)
end

-- ---- wrong ones; all end the connection unless they say otherwise

function answers.hang(req)
  req.sock:settimeout(req.number("ms", 5000) / 1000)
  req.sock:read(-1)
  return false
end

function answers.close()
  return false
end

function answers.reset(req)
  http.reset(req.sock)
  return false
end

function answers.garbage(req)
  http.write(req.sock, "\0\1\2 this is no HTTP\r\n\r\n" .. ("\255"):rep(300))
  return false
end

function answers.badlength(req)
  http.write(req.sock, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab")
  return false
end

function answers.badchunk(req)
  http.write(req.sock, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n")
  return false
end

function answers.hugehead(req)
  http.write(req.sock, "HTTP/1.1 200 OK\r\nX-Huge: " .. ("x"):rep(200000) .. "\r\n\r\n")
  return false
end

--- Half a head, then silence, then the end.
function answers.half(req)
  http.write(req.sock, "HTTP/1.1 200 OK\r\nContent-Le")
  cqueues.sleep(req.number("ms", 50) / 1000)
  return false
end

--- Announces more than it sends.
function answers.cut(req)
  http.write(req.sock, head_of(100000) .. lib.pattern(0, req.number("bytes", 5000)))
  return false
end

function answers.cutchunk(req)
  http.write(req.sock, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" .. lib.pattern(0, 300))
  return false
end

--- More than it announces; the connection must not be used again.
function answers.toomuch(req)
  http.write(req.sock, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nevil\n")
  return false
end

--- Stops in the middle of a body that is not at its end.
function answers.stall(req)
  http.write(req.sock, head_of(100000) .. lib.pattern(0, 20000))
  req.sock:settimeout(req.number("ms", 5000) / 1000)
  req.sock:read(-1)
  return false
end

--- Byte by byte, and right.
function answers.bytes(req)
  for i = 1, #FINE do
    if not http.write(req.sock, FINE:sub(i, i)) then
      return false
    end
  end
  return true
end

function answers.interim(req)
  return http.write(req.sock, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" .. FINE)
end

--- Answers before the request's body was read, and closes.
function answers.early(req)
  http.write(req.sock, "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
  return false
end

--- Answers early, then reads on to the end.
function answers.earlystay(req)
  http.write(req.sock, FINE)
  return req.read_body()
end

-- ---- the server

local function body_reader(sock, head)
  local length = tonumber(head:match("\r\n[Cc]ontent%-[Ll]ength: (%d+)"))
  local chunked = head:find("\r\n[Tt]ransfer%-[Ee]ncoding: chunked")
  return function()
    if chunked then
      return http.read_chunked(sock) ~= nil
    end
    while length and length > 0 do
      local part = sock:read(-math.min(length, 65536))
      if not part or part == "" then
        return false
      end
      length = length - #part
    end
    return true
  end
end

--- Answers one request; false: the connection ends.
local function serve_one(sock)
  local head = http.read_head(sock)
  if not head then
    return false
  end
  local name, query = head:match("^%u+ /(%w*)%S*%?(%S*)")
  name = name or head:match("^%u+ /(%w*)")
  local read_body = body_reader(sock, head)
  local answer = answers[name]
  if name ~= "early" and name ~= "earlystay" and not read_body() then
    return false
  end
  if not answer then
    return http.write(sock, FINE)
  end
  return answer { sock = sock, head = head, read_body = read_body, number = function(knob, default)
    return tonumber(query and ("&" .. query):match("&" .. knob .. "=(%d+)")) or default
  end }
end

local function serve(sock)
  http.prepare(sock, 300)
  while serve_one(sock) do
  end
  sock:close()
end

local loop = cqueues.new()
loop:wrap(function()
  local listener = socket.listen { host = "127.0.0.1", port = tonumber(arg[1]) or 0, reuseaddr = true }
  listener:listen()
  local _, _, port = listener:localname()
  io.stderr:write("listening on 127.0.0.1:" .. port .. "\n") -- in one piece: somebody reads it meanwhile
  while true do
    local sock = listener:accept { nodelay = true }
    if sock then
      loop:wrap(function()
        serve(sock)
      end)
    end
  end
end)
while true do
  local ok, err = loop:step(60)
  if not ok then
    io.stderr:write("origin: ", tostring(err), "\n") -- one connection's trouble
  end
  if require("posix.unistd").getppid() == 1 then
    os.exit(0)
  end
end

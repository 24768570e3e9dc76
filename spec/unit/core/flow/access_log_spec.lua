local flow = require("spec.unit.core.flow.support")
local C, ffi, unit, net = flow.C, flow.ffi, flow.unit, flow.net
local cjson = require("cjson")

unit.use("shm/stats.h")
unit.cdef("int mkfifo(const char *, mode_t);")

local function read(path)
  local f = assert(io.open(path, "rb"))
  local text = f:read("*a")
  f:close()
  return text
end

describe("flow/access_log", function()
  local p, r, path, opened

  before_each(function()
    p = assert(flow.plan_of({ flow.route("/*", { label = "f.lua:7" }) }))
    r = flow.req(p, "/a?x=%221", { { "User-Agent", "a\"b\\\1\xc3\xa9" }, { "Host", "h.example" } })
    r.client.peer = net.addr("127.0.0.1:9")
    r.client.addr = r.client.peer
    C.msg_init(r.res, r.pool)
    r.res.status, r.head_sent, r.sent_head, r.sent_body = 200, true, 100, 5
    flow.find(r)
    path, opened = os.tmpname(), {}
  end)

  after_each(function()
    for _, log in ipairs(opened) do
      C.access_log_close(log)
    end
    C.req_free(r)
    C.plan_unref(p)
    os.remove(path)
  end)

  local function open(fields)
    fields.path = fields.path or path
    local c = flow.conf({ logs = { fields } })
    local err = ffi.new("char[256]")
    local log = C.access_log_open(net.loop(), c.g.logs.v, c.pool, err, 256)
    assert(log ~= nil, ffi.string(err))
    opened[#opened + 1] = log
    return log
  end

  it("writes one JSON object a line", function()
    local log = open({})
    C.access_log_write(log, r)
    C.access_log_write(log, r)
    C.log_file_flush_all()
    local lines = {}
    for line in read(path):gmatch("[^\n]+") do
      lines[#lines + 1] = cjson.decode(line)
    end
    assert.equal(2, #lines)
    local line = lines[1]
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", line.time)
    line.time, line.request_time, line.id = nil, nil, nil
    assert.same({
      client = "127.0.0.1", method = "GET", scheme = "http", host = "h.example", uri = "/a?x=%221", protocol = "HTTP/1.1", status = 200,
      bytes = 105, route = "f.lua:7", user_agent = "a\"b\\\1\xc3\xa9",
    }, line)
  end)

  it("escapes values in templates as nginx does, and writes a dash for what is absent", function()
    local log = open({ format = "template", template = "$remote_addr [$http_user_agent] \"$http_none\" $status é$args" })
    C.access_log_write(log, r)
    C.log_file_flush_all()
    assert.equal("127.0.0.1 [a\\x22b\\x5C\\x01\\xC3\\xA9] \"-\" 200 éx=%221\n", read(path))
  end)

  it("writes within a second without being told", function()
    local log = open({ format = "template", template = "x" })
    C.access_log_write(log, r)
    assert.equal("", read(path))
    net.wait("the line", function()
      return read(path) == "x\n"
    end)
  end)

  it("writes at once when the buffer has 32 KiB", function()
    local log = open({ format = "template", template = ("y"):rep(999) })
    for _ = 1, 32 do
      C.access_log_write(log, r)
    end
    assert.equal("", read(path))
    C.access_log_write(log, r)
    assert.equal(33000, #read(path))
  end)

  it("shares a file between logs and generations, whole lines in order", function()
    local one, two = open({ format = "template", template = "one" }), open({ format = "template", template = "two" })
    C.access_log_write(one, r)
    C.access_log_write(two, r)
    C.access_log_close(table.remove(opened, 1))
    C.access_log_write(two, r)
    C.log_file_flush_all()
    assert.equal("one\ntwo\ntwo\n", read(path))
  end)

  it("reopens: lines from before go to the moved file, later ones to a new one", function()
    local log = open({ format = "template", template = "$request_uri" })
    C.access_log_write(log, r)
    os.rename(path, path .. ".1")
    C.log_file_reopen_all()
    C.access_log_write(log, r)
    C.log_file_flush_all()
    assert.equal(read(path), read(path .. ".1"))
    assert.equal("/a?x=%221\n", read(path))
    os.remove(path .. ".1")
  end)

  it("never waits for a pipe: lines beyond the buffer are lost and counted", function()
    os.remove(path)
    assert.equal(0, ffi.C.mkfifo(path, 384))
    local reader = ffi.C.open(path, 0x800) -- read end, non-blocking
    local log = open({ format = "template", template = ("z"):rep(1000) })
    local before = C.stats_mine.cells[C.STAT_LOG_LINES_LOST]
    for _ = 1, 400 do
      C.access_log_write(log, r)
    end
    assert.is_true(C.stats_mine.cells[C.STAT_LOG_LINES_LOST] > before)
    ffi.C.close(reader)
    C.log_file_flush_all() -- the reader is gone: no signal, no wait
  end)

  it("drops a JSON line rather than half of it, and bounds each field", function()
    local long = flow.req(p, "/" .. ("\xff"):rep(1500) .. ("x"):rep(9000), { { "User-Agent", ("\1"):rep(9000) } })
    long.client.peer = r.client.peer
    long.client.addr = r.client.peer
    local log = open({})
    C.access_log_write(log, long)
    C.log_file_flush_all()
    local line = cjson.decode(read(path))
    assert.equal(2048, #line.user_agent)
    C.req_free(long)
  end)

  it("checks a definition without opening it", function()
    local err = ffi.new("char[256]")
    local c = flow.conf({ logs = { { path = "/nowhere/x", format = "template", template = "$nope" }, { format = "json" } } })
    assert.equal(flow.E.ERR_CONF, C.access_log_check(c.g.logs.v, err, 256))
    assert.matches("unknown variable $nope", ffi.string(err))
    assert.equal(flow.E.ERR_CONF, C.access_log_check(c.g.logs.v + 1, err, 256))
    assert.equal("access log: no path", ffi.string(err))
  end)
end)

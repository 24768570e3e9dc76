--- What the specs of core/http share: messages as text, limits, pools.
local unit = require("spec.support.unit")
local ffi = unit.ffi
local C = unit.use("base/err.h", "http/h1_parse.h", "http/h1_chunk.h", "http/h1_write.h", "http/uri.h")

unit.cdef("void *malloc(size_t n); void free(void *p);")

local M = { C = C, ffi = ffi }

--- Bytes as they stand in logs: what is not printable as \xNN, a tab as \t.
---@param s string
---@return string
function M.show(s)
  return (s:gsub("[%z\1-\31\127-\255]", function(c)
    return c == "\t" and "\\t" or ("\\x%02x"):format(c:byte())
  end):gsub("\\$", "\\"))
end

---@param view ffi.cdata*  struct str
---@return string?
function M.text(view)
  return view.p ~= nil and ffi.string(view.p, view.n) or nil
end

M.anchors = {}

--- A view of a Lua string, which is kept alive for as long as the specs run.
---@param s string
function M.str(s)
  M.anchors[s] = true
  return ffi.new("str", { s, #s })
end

function M.pool()
  local pool = ffi.new("pool")
  C.pool_init(pool, 4096)
  return ffi.gc(pool, C.pool_fini)
end

--- Exactly-sized memory, so that ASan sees a byte too far.
function M.exact(s)
  local buf = ffi.gc(ffi.C.malloc(math.max(#s, 1)), ffi.C.free)
  ffi.copy(buf, s, #s)
  return buf
end

function M.limits(options)
  local lim = ffi.new("h1_limits")
  lim.head = options.head or 65536
  lim.target = options.target or 8192
  lim.fields = options.fields or 100
  lim.drop_underscore = options.drop or false
  lim.drop_invalid = options.drop or false
  return lim
end

local methods = { GET = 1, HEAD = 2, POST = 3, PUT = 4, DELETE = 5, OPTIONS = 6, CONNECT = 9 }

function M.method(name)
  return methods[name or "GET"]
end

function M.err(code)
  return "error " .. ffi.string(C.err_name(code))
end

function M.field_lines(h, out)
  for i = 0, h.n - 1 do
    local f = h.v[i]
    if f.name.n > 0 then
      local drop = f.flags % 2 == 1 and " [drop]" or ""
      out[#out + 1] = M.show(M.text(f.name)) .. ": " .. M.show(M.text(f.value)) .. drop
    end
  end
end

local bodies = { [0] = "none", "length", "chunked", "close" }

function M.body_word(m)
  local word = "body=" .. bodies[m.body]
  return m.body == 1 and word .. ":" .. tostring(m.length):gsub("LL", "") or word
end

local function request_log(m, n)
  local out = { ("%s %s %d.%d n=%d"):format(M.text(m.method_name), M.show(M.text(m.target)),
    math.floor(m.version / 10), m.version % 10, n) }
  M.field_lines(m.h, out)
  local last = { M.body_word(m), "host=" .. M.text(m.host), "port=" .. m.port }
  for _, flag in ipairs({ "keepalive", "upgrade", "expect" }) do
    if m[flag == "expect" and "expect_continue" or flag] then
      last[#last + 1] = flag
    end
  end
  out[#out + 1] = table.concat(last, " ")
  return table.concat(out, "\n")
end

local function response_log(m, n)
  local out = { ("%d %d.%d reason=%s n=%d"):format(m.status, math.floor(m.version / 10), m.version % 10,
    M.show(M.text(m.reason)), n) }
  M.field_lines(m.h, out)
  out[#out + 1] = M.body_word(m) .. (m.keepalive and " keepalive" or "") .. (m.upgrade and " upgrade" or "")
  return table.concat(out, "\n")
end

--- Parses `input`, showing `step` more bytes each time, and returns the log of the first answer that is
--- not ERR_AGAIN (or of the last).
local function parse(input, step, once)
  local pool = M.pool()
  local m, scan = ffi.new("msg"), ffi.new("h1_scan")
  C.msg_init(m, pool)
  local shown = 0
  while true do
    shown = math.min(shown + step, #input)
    local buf = M.exact(input:sub(1, shown))
    local rc, log = once(ffi.new("str", { ffi.cast("const char *", buf), shown }), scan, m)
    if rc ~= C.ERR_AGAIN or shown == #input then
      return rc > 0 and log(m, rc) or M.err(rc)
    end
  end
end

function M.parse_request(input, options, step)
  local lim = M.limits(options)
  return parse(input, step, function(view, scan, m)
    return C.h1_parse_request(view, lim, scan, m), request_log
  end)
end

function M.parse_response(input, options, step)
  local lim, method = M.limits(options), M.method(options.method)
  return parse(input, step, function(view, scan, m)
    return C.h1_parse_response(view, lim, scan, method, m), response_log
  end)
end

return M

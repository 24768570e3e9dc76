--- Groups for the specs of back/: one set, applied from plain tables of upstreams.
local flow = require("spec.unit.core.flow.support")
local C, ffi, unit = flow.C, flow.ffi, flow.unit
unit.use("shm/peers.h")

local M = { flow = flow, C = C, ffi = ffi, unit = unit, E = flow.E, net = flow.net }

--- A set of groups; `resolver` may be nil: names are then never found.
function M.set(resolver)
  return C.group_set_new(M.net.loop(), resolver)
end

--- Applies upstreams (tables of fields; peers may be plain addresses); returns the groups in order.
---@param set ffi.cdata*
---@param upstreams table[]
---@return ffi.cdata*[] groups  each with a reference
function M.apply(set, upstreams)
  for i, u in ipairs(upstreams) do
    u.name = u.name or "u" .. i
    for k, p in ipairs(u.peers) do
      u.peers[k] = type(p) == "string" and { address = p } or p
    end
  end
  local out, err = ffi.new("group *[?]", #upstreams), ffi.new("char[256]")
  local rc = C.group_set_apply(set, M.flow.conf({ upstreams = upstreams }), out, err, 256)
  assert(rc == 0, ffi.string(err))
  local groups = {}
  for i = 1, #upstreams do
    groups[i] = out[i - 1]
  end
  return groups
end

--- One group of these peers in a set of its own.
function M.group(fields)
  return M.apply(M.set(nil), { fields })[1]
end

--- Picks; options: hash, tried (a list of peers), now.
---@return ffi.cdata*|nil peer
function M.pick(g, options)
  options = options or {}
  local args = ffi.new("struct pick_args")
  local tried = ffi.new("peer *[17]")
  for i, p in ipairs(options.tried or {}) do
    tried[i - 1] = p
    args.ntried = i
  end
  args.tried = ffi.cast("peer *const *", tried)
  local key = options.hash and tostring(options.hash) or options.key
  if key then
    args.key = unit.str(key)
  end
  if options.client then
    args.client = M.net.addr(options.client)
  end
  args.now_ms = options.now or 1000
  local p = C.group_pick(g, args)
  return p ~= nil and p or nil
end

function M.name(p)
  return p and ffi.string(p.text, p.text_n) or nil
end

--- The attempt ends; the reference stays. `more`: other fields of the outcome.
function M.finish(p, failed, now, more)
  local o = ffi.new("struct peer_outcome", more or {})
  o.failed = failed or false
  C.peer_done(p, o, now or 1000)
end

--- Requests in flight, of all workers.
function M.in_flight(p)
  return tonumber(p.st.in_flight)
end

--- The attempt ends and is forgotten.
function M.done(p, failed, now)
  M.finish(p, failed, now)
  C.peer_unref(p)
end

--- Picks and finishes at once; the peer's name.
function M.once(g, options)
  local p = M.pick(g, options)
  if not p then
    return nil
  end
  local name = M.name(p)
  M.done(p, options and options.failed, options and options.now)
  return name
end

--- How often each peer is chosen in n picks; next_options(i) gives the options of a pick.
function M.count(g, n, next_options)
  local counts = {}
  for i = 1, n do
    local name = M.once(g, next_options and next_options(i)) or "none"
    counts[name] = (counts[name] or 0) + 1
  end
  return counts
end

return M

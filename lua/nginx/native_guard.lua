--- Who may pass, in the native form: addresses, users, sub-requests, limits of rate and concurrency, copies.
local args = require "nginx.native_args"
local writer = require "nginx.native_writer"

local M = {}

local take, arg, add, group, quote = args.take, args.arg, args.add, args.group, args.quote

--- Zones of a directive of http by name: { key, rate }. A file without http has no scope.
local function zones(scope, directive)
  while scope and scope.parent and scope.kind ~= "http" do
    scope = scope.parent
  end
  local found = {}
  for _, d in ipairs(scope and scope.node and scope.node.block or {}) do
    if d.name == directive then
      local zone = { key = d.args[1] }
      for _, word in ipairs(d.args) do
        zone.name = zone.name or word:match("^zone=([^:]+)")
        zone.rate = zone.rate or word:match("^rate=(.+)$")
      end
      found[zone.name or ""] = zone
    end
  end
  return found
end

local function key_of(zone)
  return (zone.key == "$binary_remote_addr" or zone.key == "$remote_addr") and "client_ip" or zone.key
end

--- What refusals are sent with: nginx's own is 503, ours 429.
local function refusal(all, scope, directive)
  take(all, directive)
  local status = scope and scope:get(directive)
  return status and status ~= 429 and (", status = %d"):format(status) or ""
end

local function rates(all, scope, use)
  local known, status = zones(scope, "limit_req_zone"), refusal(all, scope, "limit_req_status")
  for _, d in ipairs(take(all, "limit_req") or {}) do
    local zone, burst, delay = nil, nil, true
    for _, word in ipairs(d.args) do
      zone = zone or known[word:match("^zone=(.+)$") or ""]
      burst = burst or word:match("^burst=(%d+)$")
      delay = delay and word ~= "nodelay"
    end
    if zone and zone.rate then
      use[#use + 1] = ('policy "rate_limit" { rate = %q%s%s, by = %q%s }'):format((zone.rate:gsub("r/", "/")),
        burst and ", burst = " .. burst or "", burst and delay and ", delay = true" or "", key_of(zone), status)
    end
  end
end

local function connections(all, scope, use)
  local known, status = zones(scope, "limit_conn_zone"), refusal(all, scope, "limit_conn_status")
  for _, d in ipairs(take(all, "limit_conn") or {}) do
    local zone = known[d.args[1]]
    if zone and d.args[2] then
      use[#use + 1] = ('policy "conn_limit" { most = %s, by = %q%s }'):format(d.args[2], key_of(zone), status)
    end
  end
end

--- Both lists of a block are one, in the order they stand.
local function addresses(w, all)
  local nodes = {}
  for _, name in ipairs { "allow", "deny" } do
    for _, d in ipairs(take(all, name) or {}) do
      nodes[#nodes + 1] = d
    end
  end
  table.sort(nodes, function(a, b)
    return a.line < b.line or a.line == b.line and a.col < b.col
  end)
  local words = {}
  for i, d in ipairs(nodes) do
    words[i] = d.name .. " " .. d.args[1]
  end
  if words[1] then
    w:line("access = %s,", args.list(words))
  end
end

local function users(w, all)
  local realm, path = arg(all, "auth_basic"), arg(all, "auth_basic_user_file")
  if realm == "off" then
    w:line("basic_auth = false,")
  elseif realm or path then
    local parts = {}
    add(parts, "realm", realm and quote(realm))
    add(parts, "users", path and "file " .. quote(path))
    group(w, "basic_auth", parts)
  end
end

local function ask(w, all)
  local path, sets = arg(all, "auth_request"), {}
  for _, d in ipairs(take(all, "auth_request_set") or {}) do
    add(sets, writer.key(d.args[1]:sub(2)), quote(d.args[2]))
  end
  if path == "off" then
    w:line("forward_auth = false,")
  elseif path and #sets > 0 then
    w:line("forward_auth = { path = %q, set = { %s } },", path, table.concat(sets, ", "))
  elseif path then
    w:line("forward_auth = %q,", path)
  end
end

local function mirror(w, all)
  local nodes, body = take(all, "mirror"), arg(all, "mirror_request_body")
  if not nodes then
    return
  elseif nodes[1].args[1] == "off" then
    w:line("mirror = false,")
    return
  end
  local parts = {}
  for i, d in ipairs(nodes) do
    parts[i] = quote(d.args[1])
  end
  add(parts, "body", body == "off" and "false")
  if #parts == 1 then
    w:line("mirror = %s,", parts[1])
  else
    group(w, "mirror", parts)
  end
end

--- Options of a block; what is used is taken out of `all`.
function M.options(w, scope, all)
  addresses(w, all)
  users(w, all)
  ask(w, all)
  if arg(all, "satisfy") == "any" then
    w:line('satisfy = "any",')
  end
  mirror(w, all)
  if take(all, "internal") then
    w:line("internal = true,")
  end
  local use = {}
  rates(all, scope, use)
  connections(all, scope, use)
  if #use > 0 then
    w:line("use = { %s },", table.concat(use, ", "))
  end
end

return M

--- Locations as native routes, and the options that http, server and location share (for nginx/native.lua).
local units = require "nginx.units"
local writer = require "nginx.native_writer"

local M = {}

local function take(all, name)
  local nodes = all[name]
  all[name] = nil
  return nodes
end

local function arg(all, name)
  local nodes = take(all, name)
  return nodes and nodes[1].args[1]
end

local function duration(text)
  local ms = text and units.ms(text)
  return ms and writer.duration(ms)
end

local function group(w, name, parts)
  if #parts > 0 then
    w:line("%s = { %s },", name, table.concat(parts, ", "))
  end
end

local function add(parts, key, value)
  if value then
    parts[#parts + 1] = ("%s = %s"):format(key, value)
  end
end

local function timeouts(w, all, is_tunnel)
  local parts = {}
  add(parts, "connect", duration(arg(all, "proxy_connect_timeout")))
  local send, read = duration(arg(all, "proxy_send_timeout")), duration(arg(all, "proxy_read_timeout"))
  if is_tunnel then
    if read then
      w:line("websocket = { idle = %s },", read)
    end
  else
    add(parts, "send", send)
    add(parts, "read", read)
  end
  group(w, "timeouts", parts)
end

local function buffers(w, all)
  local off, parts = arg(all, "proxy_buffering"), {}
  local head, bufs = arg(all, "proxy_buffer_size"), take(all, "proxy_buffers")
  if off and off:lower() == "off" then
    w:line("buffer = false,")
    return
  end
  add(parts, "head", head and ("%q"):format(head:lower()))
  add(parts, "count", bufs and bufs[1].args[1])
  add(parts, "size", bufs and ("%q"):format(bufs[1].args[2]:lower()))
  group(w, "buffer", parts)
  local request = arg(all, "proxy_request_buffering")
  if request and request:lower() == "on" then
    w:line("buffer_request = true,")
  end
end

local strict = {
  ["strict-transport-security"] = true, ["x-content-type-options"] = true, ["x-frame-options"] = true, ["referrer-policy"] = true,
  ["permissions-policy"] = true,
}

--- add_header: the five that `security = "strict"` sends become that.
local function answer_headers(w, all)
  local nodes = take(all, "add_header") or {}
  local careful = 0
  for _, d in ipairs(nodes) do
    careful = careful + (strict[d.args[1]:lower()] and 1 or 0)
  end
  if careful >= 4 then
    w:line('security = "strict",')
  end
  local set = {}
  for _, d in ipairs(nodes) do
    if not (careful >= 4 and strict[d.args[1]:lower()]) then
      set[#set + 1] = ("%s = %q"):format(writer.key(d.args[1]), d.args[2])
    end
  end
  if #set > 0 then
    w:line("headers = { set = { %s } },", table.concat(set, ", "))
  end
end

--- Values that the native dialect sends by itself.
local usual = {
  ["host"] = { ["$host"] = true, ["$http_host"] = true }, ["x-real-ip"] = { ["$remote_addr"] = true },
  ["x-forwarded-for"] = { ["$proxy_add_x_forwarded_for"] = true, ["$remote_addr"] = true }, ["x-forwarded-proto"] = { ["$scheme"] = true },
  ["x-forwarded-host"] = { ["$host"] = true, ["$http_host"] = true },
  ["connection"] = { [""] = true, ["$connection_upgrade"] = true, ["upgrade"] = true, ["Upgrade"] = true, ["$http_connection"] = true },
  ["upgrade"] = { ["$http_upgrade"] = true },
}

local function request_headers(w, all)
  local set, remove = {}, {}
  for _, d in ipairs(take(all, "proxy_set_header") or {}) do
    local name, value = d.args[1], d.args[2] or ""
    local known = usual[name:lower()]
    local usually = known and known[value]
    if not usually and name:lower() == "host" then
      w:line("host = %q,", value)
    elseif not usually and value == "" then
      remove[#remove + 1] = ("%q"):format(name)
    elseif not usually then
      set[#set + 1] = ("%s = %q"):format(writer.key(name), value)
    end
  end
  local parts = {}
  add(parts, "set", #set > 0 and ("{ %s }"):format(table.concat(set, ", ")) or nil)
  add(parts, "remove", #remove > 0 and ("{ %s }"):format(table.concat(remove, ", ")) or nil)
  group(w, "request_headers", parts)
end

local function is_tunnel(all)
  for _, d in ipairs(all.proxy_set_header or {}) do
    if d.args[1]:lower() == "upgrade" then
      return true
    end
  end
  return false
end

local function body(w, all)
  local limit = arg(all, "client_max_body_size")
  if limit then
    w:line("body_limit = %s,", limit == "0" and "false" or ("%q"):format(limit:lower()))
  end
  local parts = {}
  add(parts, "header", duration(arg(all, "client_header_timeout")))
  add(parts, "body", duration(arg(all, "client_body_timeout")))
  add(parts, "send", duration(arg(all, "send_timeout")))
  group(w, "client", parts)
end

local reasons = { timeout = '"timeout"', non_idempotent = '"non_idempotent"' }

local function retry(w, all)
  local nodes, tries = take(all, "proxy_next_upstream"), arg(all, "proxy_next_upstream_tries")
  local on, parts = {}, {}
  for _, word in ipairs(nodes and nodes[1].args or {}) do
    if word == "off" then
      w:line("retry = false,")
      return
    end
    local status = word:match("^http_(%d+)$")
    on[#on + 1] = status or reasons[word]
  end
  add(parts, "tries", tries and tries ~= "0" and tries or nil)
  add(parts, "on", #on > 0 and ("{ %s }"):format(table.concat(on, ", ")) or nil)
  group(w, "retry", parts)
end

--- Options of a block; what is used is taken out of `all`.
function M.options(w, _, all)
  timeouts(w, all, is_tunnel(all))
  buffers(w, all)
  body(w, all)
  retry(w, all)
  answer_headers(w, all)
  request_headers(w, all)
  local version = arg(all, "proxy_http_version")
  if version == "1.0" then
    w:line('http = "1.0",')
  end
end

--- Zones of limit_req_zone by name: { key, rate }.
local function zones(scope)
  while scope.parent and scope.kind ~= "http" do
    scope = scope.parent
  end
  local found = {}
  for _, d in ipairs(scope.node and scope.node.block or {}) do
    if d.name == "limit_req_zone" then
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

local function rate_limits(all, scope, use)
  local known = zones(scope)
  for _, d in ipairs(take(all, "limit_req") or {}) do
    local zone, burst, delay = nil, nil, true
    for _, word in ipairs(d.args) do
      zone = zone or known[word:match("^zone=(.+)$") or ""]
      burst = burst or word:match("^burst=(%d+)$")
      delay = delay and word ~= "nodelay"
    end
    if zone and zone.rate then
      local by = (zone.key == "$binary_remote_addr" or zone.key == "$remote_addr") and "client_ip" or zone.key
      use[#use + 1] = ('policy "rate_limit" { rate = %q%s%s, by = %q }'):format((zone.rate:gsub("r/", "/")),
        burst and ", burst = " .. burst or "", burst and delay and ", delay = true" or "", by)
    end
  end
end

local function addresses(w, all, use)
  local allowed, denied = take(all, "allow"), take(all, "deny")
  if not allowed and not denied then
    return
  end
  local list = {}
  for _, d in ipairs(allowed or {}) do
    list[#list + 1] = ("%q"):format(d.args[1])
  end
  local last = denied and denied[#denied]
  if last and last.args[1] == "all" and #denied == 1 and #list > 0 then
    use[#use + 1] = ('policy "ip_allow" { allow = { %s } }'):format(table.concat(list, ", "))
    return
  end
  for _, nodes in ipairs { allowed or {}, denied or {} } do
    for _, d in ipairs(nodes) do
      w:comment(d, "the policy ip_allow knows only who is let in")
    end
  end
end

local function redirect_or_reply(w, d)
  local code, text = d.args[1], d.args[2]
  if not text and code:find("^https?://") then
    code, text = "302", code
  end
  if code:match("^30[12378]$") then
    w:line("redirect = { to = %q, status = %s },", text or "/", code)
  else
    w:line("reply = { status = %s%s },", code, text and (", body = %q"):format(text) or "")
  end
end

local function upstream_value(w, c, url)
  local scheme, rest = url:match("^(%a+)://(.*)$")
  local host, uri = (rest or url):match("^([^/]*)(.*)$")
  if scheme == "http" and c.upstreams[host:lower()] and (uri == "" or uri == "/") then
    return w:name(host), uri
  end
  return ("%q"):format(uri == "/" and url:sub(1, -2) or url), uri
end

local function says_host(scope)
  while scope do
    local own = false
    for _, d in ipairs(scope.node and scope.node.block or {}) do
      if d.name == "proxy_set_header" then
        own = true
        if d.args[1]:lower() == "host" then
          return true
        end
      end
    end
    scope = not own and scope.parent or nil
  end
  return false
end

--- proxy_pass, return, root: what answers.
function M.answer(w, scope, all, c)
  local pass, back = take(all, "proxy_pass"), take(all, "return")
  if back then
    redirect_or_reply(w, back[1])
  elseif pass then
    local url = pass[1].args[1]
    if url:find("$", 1, true) then
      w:comment(pass[1], "an upstream that is computed is chosen by a rewrite hook: req.upstream = …")
    else
      local value, uri = upstream_value(w, c, url)
      w:line("proxy = %s,", value)
      local path = scope.kind == "location" and scope.node.args[#scope.node.args] or "/"
      if uri ~= "" and path ~= "/" then
        w:line("strip_prefix = true,")
      end
      if not says_host(scope) then
        w:line("host = %q, -- what nginx sends when nothing is said; the client's when not written", url:match("^%a+://([^/]*)") or "")
      end
    end
  end
  local use = {}
  rate_limits(all, scope, use)
  addresses(w, all, use)
  if #use > 0 then
    w:line("use = { %s },", table.concat(use, ", "))
  end
  local root = arg(all, "root") or arg(all, "alias")
  if root and not pass and not back then
    w:line("files = %q,", root)
  end
end

--- The pattern of a location; nil and why there is none.
local function pattern(scope)
  local args = scope.node.args
  local path, modifier = args[#args], #args > 1 and args[1] or nil
  if not modifier and path:sub(1, 1) == "@" then
    return nil, "a named location: write its options where it is used, or as a hook"
  elseif modifier == "=" then
    return path
  elseif modifier == "~" or modifier == "~*" then
    return modifier .. " " .. path
  elseif path == "/" then
    return "/"
  end
  return path:gsub("/+$", "") .. "/*"
end

--- One route per location, those inside it after it.
function M.routes(w, scope, c, index, left_out)
  for _, child in ipairs(scope:each("location")) do
    local path, why = pattern(child)
    if path then
      local all = index(child)
      w:open(("route %q {"):format(path))
      M.options(w, child, all)
      M.answer(w, child, all, c)
      all.access_log = nil
      left_out(w, all)
      w:close("},")
    else
      w:comment(child.node, why)
    end
    M.routes(w, child, c, index, left_out)
  end
end

return M

--- Locations as native routes, and the options that http, server and location share (for nginx/native.lua).
local args = require "nginx.native_args"
local content = require "nginx.native_content"
local exchange = require "nginx.native_exchange"
local guard = require "nginx.native_guard"
local log = require "nginx.native_log"
local writer = require "nginx.native_writer"

local M = {}

local take, arg, duration, group, add = args.take, args.arg, args.duration, args.group, args.add

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
      set[#set + 1] = ("%s = %s"):format(writer.key(d.args[1]), args.quote(d.args[2]))
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

--- Rewrites that stay in their location; others choose a location anew, which no route does.
local function rewrites(w, all)
  local parts = {}
  for _, d in ipairs(take(all, "rewrite") or {}) do
    if d.args[3] == "break" then
      parts[#parts + 1] = ("[%q] = %q"):format("~ " .. d.args[1], d.args[2])
    else
      w:comment(d, "rewrite = { [\"~ …\"] = \"…\" } changes the path, the route stays; or a redirect, or a hook")
    end
  end
  group(w, "rewrite", parts)
end

--- Options of a block; what is used is taken out of `all`.
function M.options(w, scope, all)
  timeouts(w, all, is_tunnel(all))
  buffers(w, all)
  body(w, all)
  retry(w, all)
  answer_headers(w, all)
  request_headers(w, all)
  rewrites(w, all)
  exchange.options(w, all)
  guard.options(w, scope, all)
  content.options(w, all)
  local version = arg(all, "proxy_http_version")
  if version == "1.0" then
    w:line('http = "1.0",')
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
    w:line("reply = { status = %s%s },", code, text and ", body = " .. args.quote(text) or "")
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

--- The folder of a block's files: `root` stands for the whole path, a native folder for what is behind the prefix.
local function folder(scope, all)
  local alias, root = arg(all, "alias"), arg(all, "root")
  local outer = scope.parent
  while not alias and not root and outer do
    for _, d in ipairs(outer.node and outer.node.block or {}) do
      root = d.name == "root" and d.args[1] or root
    end
    outer = outer.parent
  end
  local words = scope.kind == "location" and scope.node.args or {}
  local plain = #words == 1 and words[1]:sub(1, 1) == "/" or words[1] == "=" or words[1] == "^~"
  if root and plain and words[#words] ~= "/" then
    return (root:gsub("/$", "") .. words[#words]:gsub("/$", ""))
  end
  return alias or root
end

local function files(w, scope, all)
  local tries, own = take(all, "try_files"), all.root or all.alias
  local index = take(all, "index")
  if not tries and not own and not (index and scope.kind == "location") then
    return
  end
  local path, parts = folder(scope, all), {}
  if not tries and not index and path then
    w:line("files = %q,", path)
    return
  end
  add(parts, "root", args.quote(path or "html"))
  add(parts, "index", index and args.list(index[1].args))
  if tries then
    local words = { unpack(tries[1].args) }
    local last = table.remove(words)
    add(parts, "try", args.list(words))
    add(parts, "otherwise", last:match("^=(%d+)$") or args.quote(last))
  end
  group(w, "files", parts)
end

--- proxy_pass, return, root: what answers.
function M.answer(w, scope, all, c)
  local pass, back = take(all, "proxy_pass"), take(all, "return")
  if back then
    redirect_or_reply(w, back[1])
  elseif pass then
    local url = pass[1].args[1]
    if url:find("$", 1, true) then
      w:line("proxy = %q,", url)
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
  if not pass and not back then
    files(w, scope, all)
  elseif take(all, "try_files") then
    w:comment(scope.node, "try_files and a target exclude each other: files = { …, otherwise = \"@name\" } and a named route")
  end
end

--- The pattern of a location.
local function pattern(scope)
  local words = scope.node.args
  local path, modifier = words[#words], #words > 1 and words[1] or nil
  if not modifier and path:sub(1, 1) == "@" then
    return path
  elseif modifier == "=" then
    return path
  elseif modifier == "~" or modifier == "~*" then
    return modifier .. " " .. path
  elseif path == "/" then
    return "/"
  end
  return (path:gsub("/+$", "")) .. "/*"
end

--- One route per location, those inside it after it.
function M.routes(w, scope, c, index, left_out)
  for _, child in ipairs(scope:each("location")) do
    local all = index(child)
    w:open(("route %q {"):format(pattern(child)))
    log.options(w, child, all)
    M.options(w, child, all)
    M.answer(w, child, all, c)
    left_out(w, all)
    w:close("},")
    M.routes(w, child, c, index, left_out)
  end
end

return M

--- The native form of a configuration in nginx syntax, as text: `moongate import nginx.conf`. It reads the blocks as they were
--- written, says in comments what it left out and why, and what no native option is for. What is the default in the native dialect
--- (keepalive, forwarded headers, WebSocket, the redirect from port 80) is not said again; where the defaults differ, nginx's are.
local units = require "nginx.units"
local writer = require "nginx.native_writer"
local locations = require "nginx.native_routes"
local args = require "nginx.native_args"
local log = require "nginx.native_log"
local vars = require "nginx.native_vars"

local M = {}

--- Directives of a level that are said elsewhere in the result, or by defaults.
local quiet = {
  events = true, http = true, server = true, upstream = true, map = true, types = true, default_type = true, worker_connections = true,
  sendfile = true, tcp_nopush = true, tcp_nodelay = true, daemon = true, include = true, keepalive_timeout = true,
  server_tokens = true, ssl_prefer_server_ciphers = true, ssl_session_cache = true, ssl_session_timeout = true, http2 = true,
  proxy_temp_path = true, client_body_temp_path = true, proxy_busy_buffers_size = true, log_format = true, multi_accept = true, use = true,
}

--- Known directives of a block by name: { name = { nodes } }.
local function index(scope)
  local all = {}
  for _, d in ipairs(scope and scope.node and scope.node.block or {}) do
    all[d.name] = all[d.name] or {}
    table.insert(all[d.name], d)
  end
  return all
end

local function one(all, name)
  return all[name] and all[name][1] and all[name][1].args[1]
end

--- Option lists share this: what was used is not reported as left out.
local function taken(all, names)
  for _, name in ipairs(names) do
    all[name] = nil
  end
end

local function left_out(w, all)
  local rest = {}
  for name, nodes in pairs(all) do
    if not quiet[name] then
      for _, d in ipairs(nodes) do
        rest[#rest + 1] = d
      end
    end
  end
  table.sort(rest, function(a, b)
    return a.line < b.line
  end)
  for _, d in ipairs(rest) do
    if d.name ~= "location" and d.name ~= "if" then
      w:comment(d, "no counterpart here")
    elseif d.name == "if" then
      w:comment(d, "write it as when = { … } of a route, or as a hook")
    end
  end
end

local function trust(w, all)
  if not all.set_real_ip_from then
    return
  end
  local list = {}
  for i, d in ipairs(all.set_real_ip_from) do
    list[i] = ("%q"):format(d.args[1])
  end
  local header = one(all, "real_ip_header") or "X-Real-IP"
  list[#list + 1] = ("header = %q"):format(header)
  if one(all, "real_ip_recursive") ~= "on" then
    list[#list + 1] = "recursive = false"
  end
  w:line("trust = { %s },", table.concat(list, ", "))
end

--- Addresses of a resolver directive, without its parameters.
local function servers(d)
  local words = {}
  for _, word in ipairs(d.args) do
    words[#words + 1] = not word:find("=", 1, true) and word or nil
  end
  return args.list(words)
end

local function gateway(w, main)
  local top, http = index(main), index(main.http)
  w:open("gateway {")
  local workers = one(top, "worker_processes")
  if workers ~= "auto" then
    w:line("workers = %s,", workers or "1")
  end
  local user = one(top, "user")
  if user then
    w:line("user = %q,", user)
  end
  if one(top, "pid") then
    w:line("pid = %q,", one(top, "pid"))
  end
  log.options(w, main.http, http, top.error_log)
  trust(w, http)
  local resolver = args.take(http, "resolver")
  if resolver then
    w:line("resolver = %s,", servers(resolver[1]))
  end
  vars.options(w, http)
  if not one(http, "client_max_body_size") then
    w:line('body_limit = "1m", -- nginx\'s; 10m when not written')
  end
  locations.options(w, main.http, http)
  taken(top, { "worker_processes", "user", "pid", "error_log", "worker_shutdown_timeout" })
  taken(http, { "set_real_ip_from", "real_ip_header", "real_ip_recursive", "limit_req_zone", "limit_conn_zone" })
  left_out(w, top)
  left_out(w, http)
  w:close("}")
  w:blank()
end

--- A peer of `server ADDRESS parameters`.
local function peer(d)
  local address, out = d.args[1], {}
  local service = table.concat(d.args, " "):match("%f[%S]service=(%S+)")
  if service then
    address = "srv://" .. (service:find(".", 1, true) and service or ("_%s._tcp"):format(service)) .. "." .. address
  elseif not address:find(":%d+$") and not address:find("^unix:") then
    address = address .. ":80"
  end
  for i = 2, #d.args do
    local key, value = d.args[i]:match("^([%w_]+)=(.*)$")
    key = key or d.args[i]
    if key == "weight" or key == "max_conns" then
      out[#out + 1] = ("%s = %s"):format(key, value)
    elseif key == "max_fails" then
      out[#out + 1] = ("fails = %s"):format(value)
    elseif key == "fail_timeout" then
      out[#out + 1] = ("window = %s"):format(writer.duration(units.ms(value) or 10000))
    elseif key == "backup" or key == "down" then
      out[#out + 1] = key .. " = true"
    end
  end
  if #out == 0 then
    return ("%q"):format(address)
  end
  return ("{ %q, %s }"):format(address, table.concat(out, ", "))
end

local function balance(w, all)
  if all.least_conn then
    w:line('balance = "least_conn",')
  elseif all.random then
    w:line('balance = "random_two",')
  elseif all.ip_hash then
    w:line('balance = "hash", hash = "$remote_addr",')
  elseif all.hash then
    w:line('balance = "hash", hash = %q,', all.hash[1].args[1])
  else
    w:line('balance = "round_robin", -- nginx\'s; the better of two random peers when not written')
  end
end

local function keepalive(w, all)
  local parts = {}
  local idle, requests, timeout = one(all, "keepalive"), one(all, "keepalive_requests"), one(all, "keepalive_timeout")
  if idle == "0" then
    w:line("keepalive = false,")
    return
  end
  parts[#parts + 1] = idle and "idle = " .. idle or nil
  parts[#parts + 1] = requests and "requests = " .. requests or nil
  parts[#parts + 1] = timeout and "timeout = " .. writer.duration(units.ms(timeout) or 60000) or nil
  if #parts > 0 then
    w:line("keepalive = { %s },", table.concat(parts, ", "))
  end
end

local function upstream(w, scope)
  local name, all = scope.node.args[1], index(scope)
  local id = w:name(name)
  w:open(("local %s = upstream %q {"):format(id, name))
  for _, d in ipairs(all.server or {}) do
    w:line("%s,", peer(d))
  end
  balance(w, all)
  keepalive(w, all)
  taken(all, { "least_conn", "random", "ip_hash", "hash", "keepalive", "keepalive_requests", "keepalive_timeout", "zone" })
  left_out(w, all)
  w:close("}")
  w:blank()
end

local function names_of(all)
  local names = {}
  for _, d in ipairs(all.server_name or {}) do
    for _, name in ipairs(d.args) do
      names[#names + 1] = name
    end
  end
  return names
end

--- A server that does nothing but send everybody to https.
local function is_redirect(scope, all)
  local r = all["return"] and all["return"][1]
  return r and #scope:each("location") == 0 and (r.args[2] or r.args[1] or ""):find("^https://") ~= nil
end

--- What a site without `listen` has.
local usual_listen = { [":80"] = true, [":443 tls"] = true, ["[::]:80"] = true, ["[::]:443 tls"] = true }

local function listen(w, all)
  local list, plain = {}, true
  for i, d in ipairs(all.listen or {}) do
    local address, flags = d.args[1], ""
    for k = 2, #d.args do
      if d.args[k] == "ssl" then
        flags = flags .. " tls"
      elseif d.args[k] == "proxy_protocol" then
        flags = flags .. " proxy_protocol"
      end
    end
    if address:match("^%d+$") then
      address = ":" .. address
    end
    address = address:gsub("^%*:", ":")
    plain = plain and usual_listen[address .. flags]
    list[i] = ("%q"):format(address .. flags)
  end
  if not plain then
    w:line("listen = { %s },", table.concat(list, ", "))
  end
end

--- Client certificates.
local function client(all, more)
  local parts = {}
  for _, pair in ipairs { { "ca", "ssl_client_certificate" }, { "trust", "ssl_trusted_certificate" }, { "crl", "ssl_crl" } } do
    args.add(parts, pair[1], one(all, pair[2]) and args.quote(one(all, pair[2])))
  end
  local verify = one(all, "ssl_verify_client")
  if not verify or verify == "off" then
    return
  end
  args.add(parts, "verify", verify ~= "on" and args.quote(verify == "optional_no_ca" and "any" or verify))
  args.add(parts, "depth", one(all, "ssl_verify_depth"))
  more[#more + 1] = ("client = { %s }"):format(table.concat(parts, ", "))
end

local function tls(w, all)
  local cert, key = one(all, "ssl_certificate"), one(all, "ssl_certificate_key")
  if not cert then
    return
  end
  local folder = cert:match("^(.*)/fullchain%.pem$")
  local more = {}
  if all.ssl_protocols then
    local list = {}
    for _, v in ipairs(all.ssl_protocols[1].args) do
      if v == "TLSv1.2" or v == "TLSv1.3" then
        list[#list + 1] = ("%q"):format(v)
      end
    end
    more[#more + 1] = ("protocols = { %s }"):format(table.concat(list, ", "))
  end
  client(all, more)
  for option, name in pairs { ciphers = "ssl_ciphers" } do
    args.add(more, option, one(all, name) and args.quote(one(all, name)))
  end
  if folder and key == folder .. "/privkey.pem" and #more == 0 then
    w:line("tls = %q,", folder)
  else
    w:line("tls = { cert = %q, key = %q%s },", cert, key or cert, #more > 0 and ", " .. table.concat(more, ", ") or "")
  end
end

local function site(w, scope, c)
  local all = index(scope)
  local names = names_of(all)
  if is_redirect(scope, all) and not all.ssl_certificate then
    w:text("-- %s: the redirect to https is what a site with tls does on port 80", w:place(scope.node))
    w:blank()
    return
  end
  local quoted = {}
  for i, name in ipairs(names) do
    quoted[i] = ("%q"):format(name == "_" and "*" or name)
  end
  if #quoted == 0 then
    quoted[1] = '"*"'
  end
  w:open(#quoted == 1 and ("site %s {"):format(quoted[1]) or ("site { %s } {"):format(table.concat(quoted, ", ")))
  listen(w, all)
  tls(w, all)
  log.options(w, scope, all)
  trust(w, all)
  locations.options(w, scope, all)
  locations.answer(w, scope, all, c)
  taken(all, { "listen", "server_name", "ssl_certificate", "ssl_certificate_key", "ssl_protocols", "ssl_ciphers",
    "ssl_client_certificate", "ssl_trusted_certificate", "ssl_crl", "ssl_verify_client", "ssl_verify_depth",
    "set_real_ip_from", "real_ip_header",
    "real_ip_recursive" })
  left_out(w, all)
  locations.routes(w, scope, c, index, left_out)
  w:close("}")
  w:blank()
end

--- The text.
---@param main nginx.Scope
---@param c table          the translator's, for its upstreams
---@return string
function M.text(main, c)
  local w = writer.new()
  gateway(w, main)
  for _, scope in ipairs(main.http and main.http:each("upstream") or {}) do
    upstream(w, scope)
  end
  for _, scope in ipairs(main.http and main.http:each("server") or {}) do
    site(w, scope, c)
  end
  return w:finish()
end

return M

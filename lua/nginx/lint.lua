--- Lints of the nginx dialect: what is allowed and rarely meant. Each is a function of one block; it reads the directives as they
--- were written, so it needs nothing of the modules that translate them. `moongate check` runs them all.
local M = {}

--- The directives `name` of a block, as written.
local function own(scope, name)
  local list = {}
  for _, d in ipairs(scope.node and scope.node.block or {}) do
    if d.name == name then
      list[#list + 1] = d
    end
  end
  return list
end

--- Those that hold in a block: its own, else those of the block around it.
local function holds(scope, name)
  while scope do
    local list = own(scope, name)
    if #list > 0 then
      return list, scope
    end
    scope = scope.parent
  end
  return {}
end

local function first(scope, name)
  return holds(scope, name)[1]
end

--- proxy_set_header FIELD that holds in a block.
local function set_header(scope, field)
  for _, d in ipairs((holds(scope, "proxy_set_header"))) do
    if d.args[1] and d.args[1]:lower() == field:lower() then
      return d
    end
  end
  return nil
end

local function path_of(scope)
  local args = scope.node.args
  return args[#args], #args > 1 and args[1] or nil
end

local function is_prefix(scope)
  local _, modifier = path_of(scope)
  return scope.kind == "location" and (modifier == nil or modifier == "^~") and path_of(scope):sub(1, 1) == "/"
end

--- scheme, host, uri of a proxy_pass
local function target(d)
  local scheme, rest = d.args[1]:match("^(%a+)://(.*)$")
  if not scheme or rest:find("^unix:") then
    return nil
  end
  local host, uri = rest:match("^([^/]*)(.*)$")
  return scheme, host, uri
end

local function upstream_of(c, host)
  local known = c.upstreams[host:lower()]
  return known and known.scope
end

local proxied = {}

function proxied.version(scope, pass, say, c)
  local d = first(scope, "proxy_http_version")
  local _, host = target(pass)
  local u = host and upstream_of(c, host)
  if d and d.args[1] == "1.0" and u and #own(u, "keepalive") > 0 then
    say(d, "HTTP/1.0 to an upstream with keepalive: its connections cannot be kept", "write proxy_http_version 1.1;")
  end
end

function proxied.connection(scope, pass, say, c)
  local d = set_header(scope, "Connection")
  local _, host = target(pass)
  local u = host and upstream_of(c, host)
  local value = d and d.args[2]
  if u and #own(u, "keepalive") > 0 and value and (value:lower() == "close" or value == "$http_connection")
    and not set_header(scope, "Upgrade") then
    say(d, ("Connection %s goes to an upstream with keepalive: its connections are closed after each request"):format(value),
      'write proxy_set_header Connection "";')
  end
end

function proxied.keepalive(_, pass, say, c)
  local _, host = target(pass)
  local u = host and upstream_of(c, host)
  if u and #own(u, "keepalive") == 0 then
    local text = 'upstream "%s" says nothing of keepalive: connections are kept here and in nginx since 1.29.7, older nginx keeps none'
    say(u.node, text:format(host), "add keepalive 32; to be sure")
  elseif u and own(u, "keepalive")[1].args[1] == "0" then
    say(own(u, "keepalive")[1], "keepalive 0 opens a connection for each request", "write keepalive 32;")
  end
end

function proxied.timeouts(scope, pass, say)
  if not first(scope, "proxy_read_timeout") and not first(scope, "proxy_connect_timeout") then
    say(pass, "no timeouts: a backend that hangs holds each request for 60 s", "add proxy_connect_timeout 5s; proxy_read_timeout 30s;")
  end
end

function proxied.slash(scope, pass, say)
  local _, _, uri = target(pass)
  if not uri or uri == "" or not is_prefix(scope) or pass.args[1]:find("$", 1, true) then
    return
  end
  local path = path_of(scope)
  if path:sub(-1) == "/" and uri:sub(-1) ~= "/" then
    say(pass, ('"%sx" becomes "%sx": the slash between them is lost'):format(path, uri), ("write %s/"):format(pass.args[1]))
  elseif path:sub(-1) ~= "/" and uri:sub(-1) == "/" then
    say(pass, ('"%s/x" becomes "%s/x": one slash too many, and "%sx" matches too'):format(path, uri, path),
      ("write location %s/ { … }"):format(path))
  end
end

function proxied.forwarded_for(scope, _, say)
  local d = set_header(scope, "X-Forwarded-For")
  if d and d.args[2] == "$remote_addr" then
    say(d, "X-Forwarded-For $remote_addr drops the addresses that proxies in front have noted",
      "write proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;")
  end
end

local streams = { "events", "stream", "sse", "subscribe", "live", "longpoll", "long%-poll" }

function proxied.buffering(scope, pass, say)
  local d = first(scope, "proxy_buffering")
  if d and d.args[1]:lower() == "off" or scope.kind ~= "location" then
    return
  end
  local path = path_of(scope):lower()
  for _, word in ipairs(streams) do
    if path:find("%f[%w]" .. word .. "%f[%W]") then
      return say(pass, "looks like a stream of events, and responses are buffered", "add proxy_buffering off;")
    end
  end
end

function proxied.websocket(scope, pass, say)
  local upgrade, connection = set_header(scope, "Upgrade"), set_header(scope, "Connection")
  if not upgrade then
    return
  end
  if not connection then
    return say(upgrade, "Upgrade is passed without Connection: the backend will not upgrade",
      "add proxy_set_header Connection $connection_upgrade; with a map of $http_upgrade")
  end
  if not first(scope, "proxy_read_timeout") then
    say(pass, "a WebSocket that is silent for 60 s is closed", "add proxy_read_timeout 3600s;")
  end
end

function proxied.host(scope, pass, say, c)
  local _, host = target(pass)
  if host and upstream_of(c, host) and not set_header(scope, "Host") then
    say(pass, ('Host is sent as "%s", the name of the upstream'):format(host), "add proxy_set_header Host $host;")
  end
end

function proxied.variable(scope, pass, say)
  local url = pass.args[1]
  if url:match("^%a+://[^/]*%$") and not first(scope, "resolver") then
    say(pass, "a host that is computed needs a resolver, unless it always names an upstream", "add resolver 127.0.0.53;")
  end
end

function proxied.verify(scope, pass, say)
  local d = first(scope, "proxy_ssl_verify")
  if pass.args[1]:find("^https:") and not (d and d.args[1]:lower() == "on") then
    say(pass, "the certificate of this upstream is not verified",
      "add proxy_ssl_verify on; proxy_ssl_trusted_certificate /etc/ssl/certs/ca-certificates.crt;")
  end
end

local blocks = {}

--- Lists are replaced, not added to: what the block around says is gone.
local function hides(scope, name, field, say, what)
  local mine = own(scope, name)
  local around = scope.parent and holds(scope.parent, name) or {}
  if #mine == 0 or #around == 0 then
    return
  end
  local kept, lost = {}, {}
  for _, d in ipairs(mine) do
    kept[(d.args[field] or ""):lower()] = true
  end
  for _, d in ipairs(around) do
    if not kept[(d.args[field] or ""):lower()] then
      lost[#lost + 1] = d.args[field]
    end
  end
  if #lost > 0 then
    say(mine[1], ("%s here hides %s of the block around it (line %d): %s"):format(name, what, around[1].line, table.concat(lost, ", ")),
      "repeat them here")
  end
end

function blocks.add_header(scope, say)
  local inherit = first(scope, "add_header_inherit")
  if not (inherit and inherit.args[1] == "merge") then
    hides(scope, "add_header", 1, say, "those")
  end
end

function blocks.set_header(scope, say)
  hides(scope, "proxy_set_header", 1, say, "those")
end

local harmless = { ["return"] = true, rewrite = true, set = true, ["break"] = true, limit_rate = true }

function blocks.inner_if(scope, say)
  if scope.kind ~= "if" then
    return
  end
  for _, d in ipairs(scope.node.block) do
    if not harmless[d.name] then
      return say(d, ("%s inside if: the last if that matches replaces the whole location, in ways that are rarely meant"):format(d.name),
        "use a map, or return and rewrite only")
    end
  end
end

function blocks.alias(scope, say)
  local d = own(scope, "alias")[1]
  if d and is_prefix(scope) and path_of(scope):sub(-1) ~= "/" and d.args[1]:sub(-1) == "/" then
    local path = path_of(scope)
    say(d, ('"%s../x" leaves the folder: the location does not end in a slash and the alias does'):format(path),
      ("write location %s/ { … }"):format(path))
  end
end

function blocks.allow(scope, say)
  local allowed, denied = own(scope, "allow"), own(scope, "deny")
  if #allowed > 0 and #denied == 0 and allowed[1].args[1] ~= "all" then
    say(allowed[#allowed], "allow without deny lets everybody in", "add deny all; after it")
  end
end

--- $uri and $document_uri are decoded: a line break in the path becomes one in the answer's head.
function blocks.splitting(scope, say)
  for _, name in ipairs { "return", "rewrite" } do
    for _, d in ipairs(own(scope, name)) do
      local last = name == "return" and d.args[#d.args] or d.args[2]
      if last and last:match("^https?://") and (last:find("%$uri%f[%W]") or last:find("$document_uri", 1, true)) then
        say(d, "$uri is decoded: it can break a Location into two", "write $request_uri")
      end
    end
  end
end

local servers = {}

function servers.old_tls(scope, say)
  local d = first(scope, "ssl_protocols")
  for _, version in ipairs(d and d.args or {}) do
    if version:find("^SSLv") or version == "TLSv1" or version == "TLSv1.1" then
      return say(d, version .. " is broken", "write ssl_protocols TLSv1.2 TLSv1.3;")
    end
  end
end

function servers.plain_443(scope, say)
  for _, d in ipairs(own(scope, "listen")) do
    if (d.args[1] == "443" or d.args[1]:find(":443$")) then
      local secure = false
      for i = 2, #d.args do
        secure = secure or d.args[i] == "ssl" or d.args[i] == "quic"
      end
      if not secure then
        say(d, "port 443 without ssl answers plain HTTP", "write listen 443 ssl;")
      end
    end
  end
end

function servers.trust_all(scope, say)
  for _, d in ipairs((holds(scope, "set_real_ip_from"))) do
    if d.args[1] == "0.0.0.0/0" or d.args[1] == "::/0" then
      say(d, "everybody is trusted to say what his address is", "name the networks of your proxies")
    end
  end
end

local function visit(scope, c, say)
  local pass = own(scope, "proxy_pass")[1]
  if scope.kind == "server" then
    for _, lint in pairs(servers) do
      lint(scope, say)
    end
  end
  for _, lint in pairs(blocks) do
    lint(scope, say)
  end
  if pass then
    for _, lint in pairs(proxied) do
      lint(scope, pass, say, c)
    end
  end
  for _, child in ipairs(scope.children) do
    visit(child, c, say)
  end
end

--- Runs all lints over the http block.
---@param main nginx.Scope
---@param c table
function M.run(main, c)
  local function say(at, message, hint)
    c.diags:add("warn", at, message, { hint = hint, word = "warn" })
  end
  if main.http then
    visit(main.http, c, say)
  end
end

return M

--- `moongate explain [METHOD] URL [-H "Name: value"]... [--from IP] -c FILE`: which site and route a request meets, which routes lost and
--- why, what holds there and where it was written, what the upstream would be sent, and which peer. Nothing is asked of anybody: hooks,
--- limits and access rules are named, not run.
local conf = require "conf"
local lost = require "conf.lost"
local origins = require "conf.origins"
local policy = require "policy"

local M = {}

local usage = 'usage: moongate explain [METHOD] URL [-H "Name: value"]... [--from IP] -c FILE\n'

local function parse(args)
  local o, i = { method = "GET", headers = {}, from = "127.0.0.1", words = {} }, 1
  while i <= #args do
    local arg = args[i]
    local value = args[i + 1]
    if arg == "-H" and value then
      local name, text = value:match("^([^:%s]+):%s*(.*)$")
      if not name then
        return nil, ("'%s' is not a header field such as \"Accept: text/html\"\n"):format(value)
      end
      table.insert(o.headers, { name, text })
      i = i + 1
    elseif arg == "--from" and value then
      o.from, i = value, i + 1
    elseif (arg == "-c" or arg == "-p") and value then
      o[arg == "-c" and "path" or "prefix"], i = value, i + 1
    elseif arg:sub(1, 1) == "-" then
      return nil, usage
    else
      o.words[#o.words + 1] = arg
    end
    i = i + 1
  end
  if #o.words == 2 then
    o.method = table.remove(o.words, 1):upper()
  end
  if #o.words ~= 1 or not o.path then
    return nil, usage
  end
  return o
end

--- scheme, host, port, target of a URL.
local function split(url)
  local scheme, rest = url:match("^(https?)://(.*)$")
  if not scheme then
    return nil
  end
  local authority, target = rest:match("^([^/?]*)(.*)$")
  local host, port = authority:match("^(%[[^%]]*%]):?(%d*)$")
  if not host then
    host, port = authority:match("^([^:]*):?(%d*)$")
  end
  if not host or host == "" then
    return nil
  end
  target = target:sub(1, 1) == "/" and target or "/" .. target
  return { scheme = scheme, authority = authority, port = port ~= "" and port or scheme == "https" and "443" or "80", target = target }
end

--- Index of the listener: the port that was said, else the first that has or has not TLS.
local function listener(model, url)
  local second
  for i, l in ipairs(model.listens) do
    local port = l.address:match(":(%d+)$")
    if port == url.port and (l.tls or false) == (url.scheme == "https") then
      return i
    end
    second = second or (l.tls or false) == (url.scheme == "https") and i
  end
  return second
end

--- A declaration names its peers; what a name stands for is asked of nobody here.
local function without_names(model)
  for _, u in ipairs(model.upstreams or {}) do
    for _, p in ipairs(u.peers) do
      local host = p.address:match("^(.*):%d+$")
      if p.service then
        p._name, p.address, p.service = p.label or p.address, "192.0.2.1:80", nil
      elseif host and not host:match("^%d+%.%d+%.%d+%.%d+$") and not host:match("^%[") and not p.address:match("^unix:") then
        p._name = p.address
        p.address = "192.0.2.1:" .. p.address:match("(%d+)$")
      end
    end
  end
end

--- Explaining writes no logs.
local function without_logs(model)
  for _, list in ipairs { model.logs or {}, model.error_logs or {} } do
    for _, l in ipairs(list) do
      l.path = "/dev/null"
    end
  end
end

local function name_of(model, address)
  for _, u in ipairs(model.upstreams or {}) do
    for _, p in ipairs(u.peers) do
      if p.address == address and p._name then
        return p._name .. " (its address is looked up at run time)"
      end
    end
  end
  return address
end

local Text = {}
Text.__index = Text

function Text:row(title, fmt, ...)
  local text = select("#", ...) > 0 and fmt:format(...) or fmt
  self[#self + 1] = ("%-10s%s"):format(title, text)
end

local function place(path, label)
  return (label:gsub("^" .. path:gsub("%p", "%%%0") .. ":", path:match("[^/]*$") .. ":"))
end

local function show_policies(text, hooks)
  for _, phase in ipairs(policy.PHASES) do
    for _, entry in ipairs(hooks and hooks.entries[phase] or {}) do
      text:row("hook", "%-8s %s (%s)", phase, entry.policy or "inline", entry.label:match("[^/]*$"))
    end
  end
end

local function show_settings(text, list)
  for i, s in ipairs(list) do
    text:row(i == 1 and "settings" or "", "%-34s %s:%d", (s.name .. " " .. s.value):gsub("%s+", " "), s.file:match("[^/]*$"), s.line)
  end
end

local function show_upstream(text, model, found)
  if found.error then
    text:row("ends", "%d: %s", found.error_status, found.error)
  elseif found.answered then
    text:row("answer", "%d, made here", found.status)
    for _, field in ipairs(found.headers or {}) do
      text:row("", "%s: %s", field[1], field[2])
    end
  elseif found.peer then
    text:row("upstream", "%s", found.upstream or "?")
    text:row("peer", "%s, as a worker that has just started would choose", name_of(model, found.peer))
    local title = "request"
    for line in (found.head or ""):gmatch("([^\r\n]+)\r?\n") do
      text:row(title, "%s", line)
      title = ""
    end
  end
end

local function report(o, url, model, hooks, found, settings)
  local text = setmetatable({}, Text)
  text:row(o.method, "%s from %s", o.words[1], o.from)
  if not found.site then
    text:row("site", "none answers for this host here")
  else
    text:row("site", "%s", place(o.path, found.site))
  end
  local site = found.site_index and model.sites[found.site_index]
  local route = site and found.route_index and site.routes[found.route_index]
  if route then
    text:row("route", "%s  %s", lost.pattern(route), place(o.path, found.route))
  end
  for i, r in ipairs(site and lost.routes(site, found, o, url) or {}) do
    text:row(i == 1 and "lost" or "", "%-24s %s (%s)", lost.pattern(r.route), r.why, place(o.path, r.route.label))
  end
  show_policies(text, route and route.hook_id and hooks[route.hook_id])
  if route then
    show_settings(text, settings(found.route))
  end
  local made = route and route.exchange and route.exchange[1] and route.exchange[1].target
  if made and found.error then
    text:row("upstream", "%s, of each request", made)
  else
    show_upstream(text, model, found)
  end
  return table.concat(text, "\n") .. "\n"
end

local function request(o, url, listen)
  local fields = { { "Host", url.authority } }
  for _, f in ipairs(o.headers) do
    if f[1]:lower() == "host" then
      fields[1][2] = f[2]
    else
      fields[#fields + 1] = f
    end
  end
  return { method = o.method, target = url.target, headers = fields, client_ip = o.from, tls = url.scheme == "https", listen = listen }
end

---@param args string[]
---@return integer status, string out, string err
function M.main(args)
  local o, why = parse(args)
  local url = o and split(o.words[1])
  if not o then
    return 2, "", why
  elseif not url then
    return 2, "", ("moongate: '%s' is not a URL such as https://app.example.com/x\n"):format(o.words[1])
  end
  local settings = function() return {} end
  local ok, model, diags = conf.load {
    path = o.path, prefix = o.prefix,
    scopes = function(main)
      settings = function(label) return origins.nginx(main, label) end
    end,
    declared = function(loader)
      local by_label = origins.native(loader)
      settings = function(label) return by_label[label] or {} end
    end,
  }
  if not ok then
    return 1, "", conf.report(diags) .. "\n"
  end
  local g = model.gateway
  local listen = listener(g, url)
  if not listen then
    return 1, "", ("moongate: nothing listens for %s here\n"):format(url.scheme)
  end
  without_names(g)
  without_logs(g)
  local testing = require "moongate.testing"
  local generation = testing.generation(g, policy.flatten(model.hooks or {}))
  local exchange = generation:request(request(o, url, listen))
  local found = exchange:walk()
  local text = report(o, url, g, model.hooks or {}, found, settings)
  exchange:finish()
  return 0, text, ""
end

return M

--- One route of the model from the options that hold for it. The pairs below are the whole mapping of plain options; what needs
--- thought has a function.
local schema = require "conf.schema"
local sorted_keys = require("conf.check").sorted_keys
local compress_model = require "conf.compress_model"
local content_model = require "conf.content_model"
local exchange_model = require "conf.exchange_model"
local files_model = require "conf.files_model"
local guard_model = require "conf.guard_model"
local rule_types = require "conf.rule_types"
local vars_model = require "conf.vars_model"

local M = {}

--- { option, key in it, field }: a value of true or false in `option` itself is handled by the functions further down.
local plain = {
  { "timeouts", "connect", "connect_timeout" }, { "timeouts", "send", "send_timeout" },
  { "timeouts", "read", "read_timeout" }, { "timeouts", "total", "total_timeout" },
  { "client", "body", "body_timeout" }, { "client", "send", "client_send_timeout" },
  { "websocket", "idle", "tunnel_idle" }, { "buffer_request", "memory", "buffer_request_memory" },
  { "buffer", "head", "buffer_head" }, { "buffer", "file", "buffer_file" }, { "buffer", "hold", "hold_small" },
  { "retry", "tries", "tries" },
}

local same_name = {
  "forwarded", "via", "slash_redirect", "methods", "body_limit", "internal", "gunzip", "rate", "rate_after", "upstream_rate",
}

--- Options where being off or on is itself a field.
local switches = { websocket = "websocket", buffer = "buffer_response", buffer_request = "buffer_request" }

local function expires(r, text)
  local modified = text and text:match("^modified%s+(.+)$")
  r.expires, r.expires_modified = modified or text or nil, modified and true or nil
end

local function ssi(r, o)
  if o then
    r.ssi, r.ssi_types, r.ssi_silent, r.ssi_last_modified, r.ssi_value_length = true, o.types, o.silent, o.last_modified, o.value_length
  end
end

--- Variables are set first, then the path is changed: the route stays.
local function steps(r, o)
  local ops = vars_model.steps(o.set)
  for _, rule in ipairs(rule_types.sorted(o.rewrite)) do
    local regex = rule.is_regex and rule.from or "^" .. rule.from:gsub("[%^%$%.%[%]%(%)%*%+%?{}|\\]", "\\%0") .. "(.*)$"
    local to = rule.is_regex and rule.to or rule.to .. "$1"
    ops[#ops + 1] = { op = "rewrite", regex = regex, caseless = rule.caseless, value = to, flag = "break", label = r.label }
  end
  r.rewrites = ops[1] and ops or nil
end

local function plain_fields(r, o)
  for _, p in ipairs(plain) do
    local group = o[p[1]]
    local value = type(group) == "table" and group[p[2]]
    if type(group) == "table" and value ~= nil then
      r[p[3]] = value == false and p[2] ~= "hold" and 0 or value
    end
  end
  for _, name in ipairs(same_name) do
    r[name] = o[name]
  end
  if r.body_limit == false then
    r.body_limit = 0
  end
  for option, name in pairs(switches) do
    if o[option] ~= nil then
      r[name] = o[option] ~= false
    end
  end
  r.host_header, r.upstream_http = o.host, o.http
  for _, name in ipairs { "rate", "upstream_rate" } do
    r[name] = r[name] or nil
  end
  expires(r, o.expires)
  guard_model.fill(r, o)
  content_model.fill(r, o)
  ssi(r, o.ssi)
  compress_model.fill(r, o.compress, o.files)
end

local function buffers(r, o)
  local b = o.buffer
  if not b then
    return
  elseif b.memory then
    r.buffer_memory = b.memory
  elseif b.size or b.count then
    r.buffer_memory = (b.size or 16384) * (b.count or 16)
  end
end

local function retries(r, o)
  if o.retry == false then
    r.tries = 1
    return
  end
  local on = o.retry and o.retry.on
  if not on then
    return
  end
  r.retry_timeout, r.retry_non_idempotent, r.retry_status = false, false, {}
  for _, reason in ipairs(on) do
    if reason == "timeout" then
      r.retry_timeout = true
    elseif reason == "non_idempotent" then
      r.retry_non_idempotent = true
    elseif type(reason) == "number" then
      table.insert(r.retry_status, tostring(reason))
    end
  end
end

local function ops_of(out, op, map)
  for _, name in ipairs(sorted_keys(map or {})) do
    local v = map[name]
    if v then
      local item = { op = op, name = name, value = v.value }
      if not v.always then
        item.always = false
      end
      out[#out + 1] = item
    end
  end
end

--- Operations in the order they are applied: take out, replace, fill in, add.
local function header_ops(headers)
  local out = {}
  headers = headers or {}
  for _, name in ipairs(headers.remove or {}) do
    out[#out + 1] = { op = "remove", name = name }
  end
  ops_of(out, "set", headers.set)
  ops_of(out, "default", headers.default)
  ops_of(out, "add", headers.add)
  return out
end

--- Names (lower case) that the user's own `headers` speak of, also to switch them off.
local function spoken_of(headers)
  local names = {}
  for _, part in ipairs { "set", "default", "remove" } do
    for key, v in pairs(headers and headers[part] or {}) do
      names[tostring(part == "remove" and v or key):lower()] = true
    end
  end
  return names
end

local function response_headers(r, o)
  local ops = header_ops(o.headers)
  if o.security == "strict" then
    local own = spoken_of(o.headers)
    for _, h in ipairs(schema.strict) do
      if not own[h[1]:lower()] then
        ops[#ops + 1] = { op = "default", name = h[1], value = h[2] }
      end
    end
  end
  ops_of(ops, "set", o.reply and o.reply.headers)
  if ops[1] then
    r.response_headers = ops
  end
  local request = header_ops(o.request_headers)
  if request[1] then
    r.request_headers = request
  end
end

local function matchers(r, when)
  local list = {}
  for _, on in ipairs { "header", "query", "cookie" } do
    local names = when and when[on] or {}
    for _, name in ipairs(sorted_keys(names)) do
      local m = names[name]
      list[#list + 1] = { on = on, name = name, op = m.op, value = m.value }
    end
  end
  r.when = list[1] and list or nil
end

--- The path that goes upstream: prefix off, path of the proxy's address in front.
local function paths(c, r, o, decl)
  local base = o.proxy and o.proxy.path:gsub("/+$", "") or ""
  if o.strip_prefix and r.match ~= "prefix" then
    c:report({ holder = decl.body, key = "strip_prefix", decl = decl },
      ('strip_prefix needs a route with a prefix, such as "%s/*"'):format(r.match == "exact" and r.pattern or "/x"))
  end
  if o.strip_prefix or base ~= "" then
    r.strip, r.strip_path, r.add_path = true, o.strip_prefix and r.pattern ~= "/" and r.pattern or "", base
  end
end

--- What answers: an upstream, a redirect, a text, files, or (hooks only) nobody.
local function target(c, r, o, decl)
  if o.proxy then
    r.action, r.upstream = "proxy", o.proxy.upstream.index
    local d = c.loader.decl_of[o.proxy.upstream]
    if d.options and d.options.keepalive == false then
      r.upstream_keepalive = false
    end
    paths(c, r, o, decl)
    exchange_model.fill(c, r, o)
  elseif o.redirect then
    r.action, r.reply_status, r.reply_location = "reply", o.redirect.status or 302, o.redirect.to
  elseif o.reply then
    r.action, r.reply_status = "reply", o.reply.status or 200
    r.reply_body, r.reply_type = o.reply.body, o.reply.type
  elseif o.files then
    files_model.fill(c, r, o.files, decl)
  else
    r.action = "none"
  end
end

--- Does the declaration name a target, right or wrong?
function M.names_target(d)
  local body = d.body or { proxy = true } -- without a table it has been reported already
  return (body.proxy or body.redirect or body.reply or body.files) ~= nil
end

--- What every answer of a route has, wherever it comes from: limits, header fields.
---@param r table
---@param o table   options as they hold
function M.dress(r, o)
  plain_fields(r, o)
  response_headers(r, o)
end

local bit_rewrite, bit_access = 1, 2

--- Fills the fields of route `r` (match, pattern, order, label and hooks are set already).
---@param c table
---@param r table
---@param o table     options as they hold
---@param decl table
---@param outer table   the site's declaration
function M.fill(c, r, o, decl, outer)
  M.dress(r, o)
  buffers(r, o)
  retries(r, o)
  matchers(r, o.when)
  steps(r, o)
  target(c, r, o, decl)
  local answers = r.hooks and (r.hooks % (2 * bit_rewrite) >= bit_rewrite or r.hooks % (2 * bit_access) >= bit_access)
  if r.action == "none" and not answers and not M.names_target(decl) and not M.names_target(outer) then
    c:report(decl.at, ("%s has no target"):format(c.loader:title(decl)), { hint = "add proxy, redirect, reply or files" })
  end
  local named = (o.proxy and 1 or 0) + (o.redirect and 1 or 0) + (o.reply and 1 or 0) + (o.files and 1 or 0)
  if named > 1 then
    c:report(decl.at, ("%s has more than one of proxy, redirect, reply and files"):format(c.loader:title(decl)))
  end
end

return M

--- proxy_* beyond addresses, times and buffers in the native form: what goes up, what comes down, cookies, redirects, error pages.
local args = require "nginx.native_args"
local writer = require "nginx.native_writer"

local M = {}

local take, arg, add, group, quote = args.take, args.arg, args.add, args.group, args.quote

local function is_off(text)
  return text and text:lower() == "off"
end

local function send(w, all)
  local parts, body = {}, arg(all, "proxy_set_body")
  local method, from = arg(all, "proxy_method"), arg(all, "proxy_bind")
  add(parts, "method", method and quote(method))
  add(parts, "body", body and quote(body) or is_off(arg(all, "proxy_pass_request_body")) and "false")
  add(parts, "headers", is_off(arg(all, "proxy_pass_request_headers")) and "false")
  add(parts, "from", from and (from == "off" and "false" or quote(from)))
  add(parts, "tcp_keepalive", arg(all, "proxy_socket_keepalive") == "on" and "true")
  group(w, "send", parts)
end

local function first_args(nodes)
  local words = {}
  for _, d in ipairs(nodes or {}) do
    for _, word in ipairs(d.args) do
      words[#words + 1] = word
    end
  end
  return words
end

local function fields(w, all)
  local parts = {}
  for _, pair in ipairs { { "hide", "proxy_hide_header" }, { "show", "proxy_pass_header" }, { "ignore", "proxy_ignore_headers" } } do
    local words = first_args(take(all, pair[2]))
    add(parts, pair[1], words[1] and args.list(words))
  end
  group(w, "upstream_headers", parts)
end

local function rules(nodes)
  local out = {}
  for _, d in ipairs(nodes or {}) do
    if d.args[2] then
      out[#out + 1] = ("[%q] = %q"):format(args.pattern(d.args[1]), d.args[2])
    end
  end
  return out[1] and ("{ %s }"):format(table.concat(out, ", ")) or nodes and nodes[1].args[1] == "off" and "false" or nil
end

local function flags(nodes)
  local out = {}
  for _, d in ipairs(nodes or {}) do
    if d.args[2] then
      out[#out + 1] = ("%s = %s"):format(writer.key(args.pattern(d.args[1])), args.list(d.args, 2):lower())
    end
  end
  return out[1] and ("{ %s }"):format(table.concat(out, ", ")) or nodes and "false" or nil
end

local function cookies(w, all)
  local parts = {}
  add(parts, "domain", rules(take(all, "proxy_cookie_domain")))
  add(parts, "path", rules(take(all, "proxy_cookie_path")))
  add(parts, "flags", flags(take(all, "proxy_cookie_flags")))
  group(w, "cookies", parts)
end

local function redirects(w, all)
  local value = rules(take(all, "proxy_redirect"))
  if value then
    w:line("rewrite_location = %s,", value)
  end
end

--- One error_page: statuses, the status to answer with, the page.
local function page_of(d)
  local n = #d.args
  local answer = n > 2 and d.args[n - 1]:match("^=(.*)$")
  local page = quote(d.args[n])
  if answer then
    page = ("{ page = %s, status = %s }"):format(page, answer == "" and '"page"' or answer)
  end
  return page, n - (answer and 2 or 1)
end

local function errors(w, all)
  local parts = {}
  for _, d in ipairs(take(all, "error_page") or {}) do
    local page, last = page_of(d)
    for i = 1, last do
      parts[#parts + 1] = ("[%s] = %s"):format(d.args[i], page)
    end
  end
  add(parts, "intercept", arg(all, "proxy_intercept_errors") == "on" and "true")
  add(parts, "recursive", arg(all, "recursive_error_pages") == "on" and "true")
  group(w, "errors", parts)
end

local function rates(w, all)
  for _, pair in ipairs { { "rate", "limit_rate" }, { "rate_after", "limit_rate_after" }, { "upstream_rate", "proxy_limit_rate" } } do
    local value = arg(all, pair[2])
    if value then
      w:line("%s = %s,", pair[1], value == "0" and "false" or quote(value:find("%$") and value or value:lower()))
    end
  end
end

--- Options of a block; what is used is taken out of `all`.
function M.options(w, all)
  send(w, all)
  fields(w, all)
  cookies(w, all)
  redirects(w, all)
  errors(w, all)
  rates(w, all)
  local set = {}
  for _, d in ipairs(take(all, "set") or {}) do
    add(set, writer.key(d.args[1]:sub(2)), quote(d.args[2]))
  end
  group(w, "set", set)
end

return M

--- Fields on their way up and down: proxy_set_header, proxy_hide_header and its kin, proxy_redirect, proxy_cookie_*.
local exchange = require "nginx.exchange"
local fields = require "nginx.upstream_fields"
local units = require "nginx.units"

local everywhere = "http server location"

local function many(args, parse)
  return { where = everywhere, args = args, many = true, parse = parse }
end

--- "~re" and "~*re" are patterns.
local function pattern(text)
  if text:sub(1, 2) == "~*" then
    return { from = text:sub(3), is_regex = true, caseless = true }
  elseif text:sub(1, 1) == "~" then
    return { from = text:sub(2), is_regex = true }
  end
  return { from = text }
end

local function pair(d)
  local rule = pattern(d.args[1])
  rule.to = d.args[2]
  return rule
end

--- What may be said once in a list: "off", alone.
local function alone(d, scope, word)
  local list = scope:own(d.name)
  if list and (word == "off" or list[1] == "off") then
    return nil, '"off" parameter cannot be used with other rules'
  end
  return word
end

local function redirect(d, scope)
  local word = #d.args == 1 and d.args[1]
  if word == "off" or word == "false" then
    return "off"
  elseif word == "default" then
    return "default"
  elseif word then
    return nil, ('invalid parameter "%s"'):format(word)
  end
  return pair(d, scope)
end

local function cookie(d)
  if #d.args == 1 then
    if d.args[1] ~= "off" then
      return nil, ('invalid parameter "%s"'):format(d.args[1])
    end
    return "off"
  end
  local rule = pair(d)
  if d.name == "proxy_cookie_domain" and rule.is_regex then
    rule.caseless = true
  elseif d.name == "proxy_cookie_domain" and not rule.is_regex then -- the dot of the cookie stays, that of the rule says nothing
    rule.from, rule.to = rule.from:gsub("^%.", ""), rule.to:gsub("^%.", "")
  end
  return rule
end

local flag_words = {
  secure = true, nosecure = true, httponly = true, nohttponly = true, ["samesite=strict"] = true, ["samesite=lax"] = true,
  ["samesite=none"] = true, nosamesite = true,
}

local function flags(d, scope)
  if #d.args == 1 then
    if d.args[1] ~= "off" then
      return nil, ('invalid parameter "%s"'):format(d.args[1])
    end
    return alone(d, scope, "off")
  end
  local rule = pattern(d.args[1])
  for i = 2, #d.args do
    if not d.args[i]:find("$", 1, true) and not flag_words[d.args[i]:lower()] then
      return nil, ('invalid parameter "%s"'):format(d.args[i])
    end
  end
  rule.caseless = rule.is_regex
  rule.to = table.concat(d.args, " ", 2)
  return rule
end

-- ---- the model

--- proxy_redirect default: the URL of proxy_pass becomes the location's path.
local function default_redirect(scope, r)
  local p = scope:handler("proxy_pass")
  if p.url then
    return nil
  end
  local base = ("%s://%s"):format(p.scheme, p.host)
  if p.uri then
    return { from = base .. p.uri, to = r.strip_path }
  end
  return { from = base .. "/", to = "/" }
end

local function redirects(scope, r, x, c)
  local list = {}
  for _, rule in ipairs(scope:get("proxy_redirect") or { "default" }) do
    local said = rule == "default" and scope:said("proxy_redirect")
    if rule == "off" then
      x.redirects = {}
      return
    end
    local made = rule == "default" and default_redirect(scope, r) or rule
    if made == "default" then
      if said then
        c:error(scope:at("proxy_redirect"), '"proxy_redirect default" cannot be used with "proxy_pass" directive with variables')
      end
    else
      list[#list + 1] = made
    end
  end
  x.redirects = list
end

local parts = { { "proxy_cookie_domain", "domain" }, { "proxy_cookie_path", "path" }, { "proxy_cookie_flags", "flags" } }

local function cookies(scope, x)
  local list = {}
  for _, part in ipairs(parts) do
    for _, rule in ipairs(scope:get(part[1]) or {}) do
      if rule ~= "off" then
        list[#list + 1] = { part = part[2], from = rule.from, is_regex = rule.is_regex, caseless = rule.caseless, to = rule.to }
      end
    end
  end
  x.cookies = list
end

local function route(scope, r, c)
  if not scope:handler("proxy_pass") then
    return
  end
  local x = exchange.of(r)
  fields.request(scope, r, "proxy")
  fields.response(scope, r, x, "proxy")
  redirects(scope, r, x, c)
  cookies(scope, x)
end

return {
  directives = {
    proxy_set_header = many(2),
    proxy_hide_header = many(1, units.string),
    proxy_pass_header = many(1, units.string),
    proxy_ignore_headers = units.joined { where = everywhere, args = "1+", parse = fields.ignored },
    proxy_redirect = many({ 1, 2 }, redirect),
    proxy_cookie_domain = many({ 1, 2 }, cookie),
    proxy_cookie_path = many({ 1, 2 }, cookie),
    proxy_cookie_flags = many({ 1, 5 }, flags),
  },
  route = route,
}

--- Why the other routes of a site did not get a request (for `moongate explain`): the same rules as core/flow/route.c and
--- route_nginx.c, told in words. What was chosen comes from the engine; this only says why the rest was not.
local M = {}

local function regex(pattern, caseless)
  local core = require "moongate.core"
  local re = core.regex(pattern, caseless and "i" or nil)
  return re and function(path)
    return re:test(path)
  end or function()
    return false
  end
end

--- The route as it is written.
function M.pattern(r)
  local p = r.pattern or ""
  if r.match == "regex" then
    return (r.caseless and "~* " or "~ ") .. p
  elseif r.match == "exact" and r.order and r.no_regex ~= nil then
    return "= " .. p
  elseif r.match == "named" or r.match == "inner" then
    return p ~= "" and p or "(the server's own)"
  elseif r.match == "prefix" and r.border ~= false and p ~= "/" then
    return p .. "/*"
  end
  return p == "" and "(the server's own)" or p
end

local function segments_match(pattern, path)
  local want, have = {}, {}
  for s in pattern:gmatch("[^/]+") do
    want[#want + 1] = s
  end
  for s in path:gmatch("[^/]+") do
    have[#have + 1] = s
  end
  for i, s in ipairs(want) do
    if s == "*" then
      return true
    elseif have[i] == nil or (s:sub(1, 1) ~= ":" and s ~= have[i]) then
      return false
    end
  end
  return #want == #have
end

--- Does the pattern alone match? Else the reason.
local function matches(r, path)
  local p = r.pattern
  if r.match == "exact" then
    return path == p, "another path"
  elseif r.match == "prefix" then
    local fits = path:sub(1, #p) == p
    if fits and r.border ~= false and #path > #p and p:sub(-1) ~= "/" and path:sub(#p + 1, #p + 1) ~= "/" then
      return false, "the path goes on within the segment"
    end
    return fits, "the path does not begin like this"
  elseif r.match == "segments" then
    return segments_match(p, path), "the segments differ"
  elseif r.match == "regex" then
    return regex(p, r.caseless)(path), "the expression does not match"
  end
  return false, r.match == "named" and "only reached by name" or "no location matched better"
end

local function has_method(r, method)
  for _, m in ipairs(r.methods or {}) do
    if m == method then
      return true
    end
  end
  return not r.methods or #r.methods == 0
end

local function native_reason(r, winner)
  if winner and winner.match == "exact" and r.match ~= "exact" then
    return "an exact path goes before patterns"
  elseif winner and winner.when and not r.when then
    return "the other one asks for more (when)"
  end
  return "less specific"
end

local function nginx_reason(r, winner)
  if not winner then
    return "not reached"
  elseif winner.match == "exact" then
    return "= goes first"
  elseif winner.match == "regex" then
    return r.match == "regex" and "an expression above it matched first" or "an expression goes before a prefix without ^~"
  elseif winner.no_regex and r.match == "regex" then
    return "^~ keeps expressions out"
  end
  return "a longer prefix matched"
end

--- The routes that lost, with the reason: { { route, why } }.
---@param site table   of the model
---@param found table  what the engine chose
---@param o table      { method }
---@param url table    { target }
function M.routes(site, found, o, url)
  local out, winner = {}, found.route_index and site.routes[found.route_index]
  local path = url.target:match("^[^?]*")
  for i, r in ipairs(site.routes) do
    local own = site.match == "nginx" and i == 1
    local made = r.match == "named" and r.pattern:sub(1, 2) == "@ " -- of an error page
    if i ~= found.route_index and not own and not made and r.match ~= "inner" then
      local fits, why = matches(r, path)
      if fits and r.internal and site.match ~= "nginx" then
        why = "for internal redirects only"
      elseif fits and not has_method(r, o.method) then
        why = "not for " .. o.method
      elseif fits then
        why = site.match == "nginx" and nginx_reason(r, winner) or native_reason(r, winner)
      end
      out[#out + 1] = { route = r, why = why }
    end
  end
  return out
end

return M

--- location: how it matches.
local modes = { ["="] = "exact", ["^~"] = "no_regex", ["~"] = "regex", ["~*"] = "caseless" }

--- The match of a location: { match, pattern, no_regex, caseless }; nil: the modifier is none.
local function match_of(args)
  local mode, name = modes[args[1]], args[2]
  if not name then
    name = args[1]
    for _, modifier in ipairs { "~*", "^~", "=", "~" } do
      if name:sub(1, #modifier) == modifier then
        mode, name = modes[modifier], name:sub(#modifier + 1)
        break
      end
    end
    if not mode and name:sub(1, 1) == "@" then
      return { match = "named", pattern = name }
    end
  elseif not mode then
    return nil
  end
  if mode == "regex" or mode == "caseless" then
    return { match = "regex", pattern = name, caseless = mode == "caseless" or nil }
  elseif mode == "exact" then
    return { match = "exact", pattern = name }
  end
  return { match = "prefix", pattern = name, no_regex = mode == "no_regex" or nil, border = false }
end

--- What nginx refuses about a location inside another.
local function nesting(m, outer, name)
  local around = outer.match
  if around.match == "exact" then
    return ('location "%s" cannot be inside the exact location "%s"'):format(name, around.pattern)
  elseif around.match == "named" then
    return ('location "%s" cannot be inside the named location "%s"'):format(name, around.pattern)
  elseif m.match == "named" then
    return ('named location "%s" can be on the server level only'):format(name)
  elseif m.match ~= "regex" and around.match ~= "regex" and m.pattern:sub(1, #around.pattern) ~= around.pattern then
    return ('location "%s" is outside location "%s"'):format(name, around.pattern)
  end
end

local function same(a, b)
  return a.match == b.match and a.pattern == b.pattern and a.match ~= "regex"
end

local function open(d, scope, c)
  local m = match_of(d.args)
  if not m then
    scope.match = { match = "regex", pattern = d.args[2] } -- for those inside: one error is told, not its consequences
    return nil, ('invalid location modifier "%s"'):format(d.args[1])
  end
  scope.match = m
  if scope.parent.kind == "location" then
    local err = nesting(m, scope.parent, d.args[#d.args])
    if err then
      c:error(d, "%s", err)
    end
  end
  for _, other in ipairs(scope.parent.children) do
    if other ~= scope and other.kind == "location" and same(other.match, m) then
      return nil, ('duplicate location "%s"'):format(m.pattern)
    end
  end
end

--- limit_except METHOD...: other methods are answered by what the block says.
local methods = {
  GET = true, HEAD = true, POST = true, PUT = true, DELETE = true, MKCOL = true, COPY = true, MOVE = true, OPTIONS = true,
  PROPFIND = true, PROPPATCH = true, LOCK = true, UNLOCK = true, PATCH = true,
}

local function limit_except(d, scope)
  for _, name in ipairs(d.args) do
    if not methods[name:upper()] then
      return nil, ('invalid method "%s"'):format(name)
    end
  end
  scope.match = scope.parent.match
end

--- Fields of a location with a limit_except.
local function except(scope, r, c)
  local block = scope:each("limit_except")[1]
  if not block then
    return
  end
  r.except, r.except_methods = c:route_ref(block), {}
  for i, name in ipairs(block.node.args) do
    r.except_methods[i] = name:upper()
  end
end

--- A prefix that is passed on: "/x" is sent to "/x/".
local function passes(scope)
  for _, name in ipairs { "proxy_pass", "grpc_pass", "fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass" } do
    if scope:own(name) then
      return true
    end
  end
  return false
end

local function route(scope, r, c)
  if scope.kind ~= "location" then
    if scope.kind == "if" or scope.kind == "limit_except" then
      r.pattern = scope.match and scope.match.pattern or r.pattern
    end
    return
  end
  for k, v in pairs(scope.match) do
    r[k] = v
  end
  local slash = r.match ~= "regex" and r.match ~= "named" and r.pattern:find("/$") and passes(scope)
  r.slash_redirect = slash and true or nil
  except(scope, r, c)
end

return {
  directives = {
    location = { where = "server location", args = { 1, 2 }, block = "location", open = open },
    limit_except = { where = "location", args = "1+", block = "limit_except", once = true, open = limit_except },
  },
  route = route,
}

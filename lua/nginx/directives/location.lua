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
    if other ~= scope and other.match and same(other.match, m) then
      return nil, ('duplicate location "%s"'):format(m.pattern)
    end
  end
end

local function route(scope, r)
  if scope.match then
    for k, v in pairs(scope.match) do
      r[k] = v
    end
  end
end

return {
  directives = {
    location = { where = "server location", args = { 1, 2 }, block = "location", open = open },
    internal = { where = "location", args = 0, parse = function() return true end },
  },
  route = route,
}

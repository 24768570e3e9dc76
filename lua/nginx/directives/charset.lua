--- charset and its kin.
local units = require "nginx.units"

local everywhere = "http server location"
local usual = { "text/xml", "text/plain", "text/vnd.wap.wml", "application/javascript", "application/rss+xml" }

local function bytes(hex)
  if #hex % 2 ~= 0 or not hex:find("^%x+$") then
    return nil
  end
  return (hex:gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

--- One character of UTF-8 in up to three bytes?
local function is_character(text)
  local first = text:byte()
  local n = first < 0x80 and 1 or first >= 0xc2 and first < 0xe0 and 2 or first >= 0xe0 and first < 0xf0 and 3 or 0
  return #text == n and not text:find("[^\128-\191]", 2)
end

local function line_of(line, utf8)
  local key, value = bytes(#line.name == 1 and "0" .. line.name or line.name), bytes(line.args[1])
  if not key or #key ~= 1 then
    return nil, line.name
  elseif not value or (utf8 and not is_character(value)) or (not utf8 and #value ~= 1) then
    return nil, line.args[1]
  end
  return key, value
end

--- charset_map FROM TO { XX YY; ... }
local function charset_map(d, scope, c)
  local m = { from = d.args[1], to = d.args[2], keys = {}, values = {} }
  local from, to = m.from:lower(), m.to:lower()
  if from == to then
    return nil, '"charset_map" between the same charsets'
  elseif from == "utf-8" then
    return nil, '"charset_map" must have "utf-8" as its second charset'
  end
  scope.charmaps = scope.charmaps or {}
  if scope.charmaps[from .. " " .. to] or scope.charmaps[to .. " " .. from] then
    return nil, ('duplicate "charset_map" between "%s" and "%s"'):format(m.from, m.to)
  end
  scope.charmaps[from .. " " .. to], scope.charmaps[to .. " " .. from] = true, true
  for _, line in ipairs(d.block) do
    if #line.args ~= 1 then
      c:error(line, "invalid parameters number")
    else
      local key, value = line_of(line, to == "utf-8")
      if not key then
        c:error(line, 'invalid value "%s"', value)
      end
      table.insert(m.keys, key or "0")
      table.insert(m.values, value)
    end
  end
  c.gateway.charmaps = c.gateway.charmaps or {}
  table.insert(c.gateway.charmaps, m)
  return m
end

local function maps_of(scope)
  while scope.kind ~= "http" do
    scope = scope.parent
  end
  return scope.charmaps or {}
end

--- Two names that stand in the file need a map between them.
local function check(scope, to, from, c)
  local known = to and from and to ~= "off" and from ~= "off" and not (to .. from):find("$", 1, true)
  if known and to:lower() ~= from:lower() and not maps_of(scope)[to:lower() .. " " .. from:lower()] then
    c:error(scope:at("charset"), 'no "charset_map" between the charsets "%s" and "%s"', from, to)
  end
end

local function route(scope, r, c)
  local to, from = scope:get("charset"), scope:get("source_charset")
  if not to and not from then
    return
  end
  check(scope, to, from, c)
  r.charset = {
    { to = to ~= "off" and to or nil, from = from ~= "off" and from or nil, override = scope:get("override_charset"),
      types = scope:get("charset_types") },
  }
end

return {
  directives = {
    charset = { where = "http server location if", args = 1, parse = units.string },
    source_charset = { where = "http server location if", args = 1, parse = units.string },
    override_charset = { where = "http server location if", args = 1, parse = units.onoff, default = false },
    charset_types = units.joined { where = everywhere, args = "1+", parse = units.types(), default = usual },
    charset_map = { where = "http", args = 2, block = true, many = true, parse = charset_map },
  },
  route = route,
}

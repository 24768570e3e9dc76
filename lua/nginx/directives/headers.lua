--- Fields that answers get: add_header, add_trailer, expires.
local units = require "nginx.units"

local everywhere = "http server location if"

--- add_header NAME VALUE [always], add_trailer
local function add_header(d)
  if d.args[3] and d.args[3] ~= "always" then
    return nil, ('invalid parameter "%s"'):format(d.args[3])
  end
  local value = d.args[2]:gsub("[\r\n]+$", "") -- a line break ends the field anyway
  return { name = d.args[1], value = value, always = d.args[3] ~= nil }
end

local words = { epoch = true, max = true, off = true }

--- "-1h" and "@15h30m" in seconds, sign and mark kept; nil and what is wrong.
local function moment(text, modified)
  local mark, time = text:match("^([@%-]?)(.*)$")
  local ms = units.ms(time)
  if not ms or ms % 1000 ~= 0 or mark == "@" and modified then
    return nil, "invalid value"
  elseif mark == "@" and ms > 86400000 then
    return nil, "daily time value must be less than 24 hours"
  end
  return mark .. math.floor(ms / 1000)
end

--- expires [modified] TIME | epoch | max | off
local function expires(d)
  local value, modified = d.args[1], false
  if d.args[2] then
    if value ~= "modified" then
      return nil, "invalid value"
    end
    value, modified = d.args[2], true
  end
  local err
  if not value:find("$", 1, true) and not (words[value] and not modified) then
    value, err = moment(value, modified)
  end
  if not value then
    return nil, err
  end
  return { value = value, modified = modified }
end

--- What holds here of a list that add_header_inherit may merge with those around it.
local function collect(scope, name, inherit)
  local own = scope:own(name)
  local how = scope:get(inherit) or "on"
  local outer = scope.parent and how ~= "off" and collect(scope.parent, name, inherit) or nil
  if not own then
    return outer
  elseif not outer or how ~= "merge" then
    return own
  end
  local all = {}
  for _, list in ipairs { own, outer } do
    for _, item in ipairs(list) do
      all[#all + 1] = item
    end
  end
  return all
end

--- These two are the answer's own: the value stands for it, an empty one takes it away.
local replaced = { ["last-modified"] = true, etag = true }

local function ops(list)
  local out = {}
  for i, item in ipairs(list) do
    out[i] = { op = replaced[item.name:lower()] and "replace" or "add", name = item.name, value = item.value }
    if not item.always then
      out[i].always = false
    end
  end
  return out
end

local function trailer_ops(list)
  local out = {}
  for i, item in ipairs(list) do
    out[i] = { op = "add", name = item.name, value = item.value, always = item.always }
  end
  return out
end

local function route(scope, r)
  local list = collect(scope, "add_header", "add_header_inherit")
  if list then
    r.response_headers = r.response_headers or {}
    for _, op in ipairs(ops(list)) do
      table.insert(r.response_headers, op)
    end
  end
  local trailers = collect(scope, "add_trailer", "add_trailer_inherit")
  r.response_trailers = trailers and trailer_ops(trailers)
  local e = scope:get("expires")
  if e and e.value ~= "off" then
    r.expires, r.expires_modified = e.value, e.modified or nil
  end
end

return {
  directives = {
    add_header = { where = everywhere, args = { 2, 3 }, many = true, parse = add_header },
    add_header_inherit = { where = everywhere, args = 1, parse = units.one_of { "on", "off", "merge" } },
    add_trailer = { where = everywhere, args = { 2, 3 }, many = true, parse = add_header },
    add_trailer_inherit = { where = everywhere, args = 1, parse = units.one_of { "on", "off", "merge" } },
    expires = { where = everywhere, args = { 1, 2 }, parse = expires },
  },
  route = route,
}

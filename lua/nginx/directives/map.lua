--- map, geo, split_clients: variables made of other variables or of the client's address.
local captures = require "nginx.captures"
local units = require "nginx.units"

local function label(d)
  return ("%s:%d"):format(d.file, d.line)
end

--- A line's label, unless it is in the block's own file and near enough to be told by it.
local function entry(line, key, value)
  return { key = key, value = value, label = label(line) }
end

local function once(c, d, name, item)
  item.label = label(d)
  local known = captures.variable(c, name, item)
  if known ~= item then
    for k in pairs(known) do -- declared by `set` or an earlier map: the last one says what it is
      known[k] = nil
    end
    for k, v in pairs(item) do
      known[k] = v
    end
  end
end

-- map

local function map_line(line, v, c)
  local key, n = line.name, #line.args
  if n == 0 and key == "hostnames" then
    v.hostnames = true
  elseif n == 0 and key == "volatile" then
    v.uncached = true
  elseif n ~= 1 then
    c:error(line, "invalid number of the map parameters")
  elseif key == "default" then
    if v.otherwise then
      c:error(line, "duplicate default map parameter")
    end
    v.otherwise = line.args[1]
  else
    if key:sub(1, 1) == "~" then
      captures.declare(c, key)
    end
    table.insert(v.entries, entry(line, key, line.args[1]))
  end
end

local function map(d, _, c)
  local name = captures.new_name(c, d, d.args[2])
  local v = { kind = "map", source = d.args[1], entries = {} }
  for _, line in ipairs(d.block) do
    map_line(line, v, c)
  end
  if name then
    once(c, d, name, v)
  end
end

-- split_clients

local function share(text)
  if text == "*" then
    return 0
  end
  local whole, part = text:match("^(%d+)%.?(%d?%d?)%%$")
  local n = whole and tonumber(whole) * 100 + tonumber((part .. "00"):sub(1, 2))
  return n and n > 0 and n <= 1000000 and n or nil
end

local function split(d, _, c)
  local name = captures.new_name(c, d, d.args[2])
  local v = { kind = "split", source = d.args[1], entries = {} }
  local sum = 0
  for _, line in ipairs(d.block) do
    local n = share(line.name)
    if not n or #line.args ~= 1 then
      c:error(line, 'invalid percent value "%s"', line.name)
    else
      sum = n == 0 and 10000 or sum + n
      table.insert(v.entries, { value = line.args[1], share = n })
    end
  end
  if sum > 10000 then
    c:error(d, "percent total is greater than 100%%")
  elseif name then
    once(c, d, name, v)
  end
end

-- geo

local switches = { ranges = "ranges", proxy_recursive = "proxy_recursive", volatile = "uncached" }

local function geo_line(line, v, c)
  local key, value = line.name, line.args[1]
  if #line.args == 0 and switches[key] then
    if key == "ranges" and #v.entries > 0 then
      c:error(line, 'the "ranges" directive must be the first directive inside "geo" block')
    end
    v[switches[key]] = true
  elseif #line.args ~= 1 then
    c:error(line, "invalid number of the geo parameters")
  elseif key == "default" then
    v.otherwise = value
  elseif key == "proxy" then
    v.proxies = v.proxies or {}
    table.insert(v.proxies, value)
  elseif key == "delete" then
    local e = entry(line, value, "")
    e.remove = true
    table.insert(v.entries, e)
  else
    table.insert(v.entries, entry(line, key, value))
  end
end

local function geo(d, _, c)
  local of = d.args[2] and d.args[1]
  local name = captures.new_name(c, d, d.args[#d.args])
  if of and of:sub(1, 1) ~= "$" then
    return c:error(d, 'invalid variable name "%s"', of)
  end
  local v = { kind = "geo", source = of, entries = {} }
  for _, line in ipairs(d.block) do
    geo_line(line, v, c)
  end
  if name then
    once(c, d, name, v)
  end
end

return {
  directives = {
    map = { where = "http", args = 2, block = true, many = true, parse = map },
    geo = { where = "http", args = { 1, 2 }, block = true, many = true, parse = geo },
    split_clients = { where = "http", args = 2, block = true, many = true, parse = split },
    map_hash_max_size = { where = "http", args = 1, parse = units.number, noop = true },
    map_hash_bucket_size = { where = "http", args = 1, parse = units.number, noop = true },
  },
}

--- limit_req*, limit_conn*, limit_rate*: how often, how many at once, how fast.
local guard = require "nginx.guard"
local units = require "nginx.units"

local everywhere = "http server location"
local ZONE_MIN = 32768

--- "zone=NAME:SIZE" as a table; nil after a report.
local function zone_of(d, text, c)
  local name, size = text:match("^zone=([^:]*):(.*)$")
  local bytes = size and units.bytes(size)
  if not name or name == "" or not bytes then
    return c:error(d, 'invalid zone size "%s"', text:sub(6))
  elseif bytes < ZONE_MIN then
    return c:error(d, 'zone "%s" is too small', name)
  end
  return { name = name, size = bytes }
end

--- "rate=10r/s" in thousandths of a request per second, as nginx rounds them.
local function rate_of(text)
  local n, per = text:match("^rate=(%d+)r/([sm])$")
  n = n and tonumber(n)
  if not n or n == 0 or n > 2000000 then
    return nil
  end
  return math.max(1, math.floor(n * 1000 / (per == "m" and 60 or 1)))
end

--- Keeps the zone where `limit_req` and `limit_conn` of the whole http block find it.
local function declare(d, scope, c, zone, kind)
  scope.zones = scope.zones or {}
  local other = scope.zones[zone.name]
  if other then
    return c:error(d, '%s "%s" is already bound to key "%s"', other.directive, zone.name, other.key)
  end
  zone.kind, zone.key, zone.directive = kind, d.args[1], d.name
  scope.zones[zone.name] = zone
end

local function limit_req_zone(d, scope, c)
  local zone, rate
  for i = 2, #d.args do
    local arg = d.args[i]
    if arg:find("^zone=") then
      zone = zone_of(d, arg, c)
      if not zone then
        return
      end
    elseif arg:find("^rate=") then
      rate = rate_of(arg)
      if not rate then
        return nil, ('invalid rate "%s"'):format(arg)
      end
    elseif arg ~= "sync" then
      return nil, ('invalid parameter "%s"'):format(arg)
    end
  end
  if not zone then
    return nil, '"limit_req_zone" must have "zone" parameter'
  end
  zone.rate = rate or 1000
  declare(d, scope, c, zone, "rate")
end

local function limit_conn_zone(d, scope, c)
  local arg = d.args[2]
  if not arg:find("^zone=") then
    return nil, ('invalid parameter "%s"'):format(arg)
  end
  local zone = zone_of(d, arg, c)
  if zone then
    declare(d, scope, c, zone, "conn")
  end
end

local function count_of(text, what, name)
  local n = units.integer(text)
  if not n or n == 0 then
    return nil, ('invalid %s "%s=%s"'):format(what, name, text)
  end
  return n
end

local function limit_req(d)
  local v = { burst = 0, delay = 0, at = d }
  for _, arg in ipairs(d.args) do
    local name, text = arg:match("^(%a+)=(.*)$")
    local err
    if name == "zone" then
      v.zone = text
    elseif name == "burst" then
      v.burst, err = count_of(text, "burst value", name)
    elseif name == "delay" then
      v.delay, err = count_of(text, "delay value", name)
    elseif arg == "nodelay" then
      v.delay = -1
    else
      err = ('invalid parameter "%s"'):format(arg)
    end
    if err then
      return nil, err
    end
  end
  if not v.zone or v.zone == "" then
    return nil, '"limit_req" must have "zone" parameter'
  end
  return v
end

local function limit_conn(d, scope)
  for _, other in ipairs(scope:own("limit_conn") or {}) do
    if other.zone == d.args[1] then
      return nil, "is duplicate"
    end
  end
  local most = units.integer(d.args[2])
  if not most or most == 0 then
    return nil, ('invalid number of connections "%s"'):format(d.args[2])
  elseif most > 65535 then
    return nil, "connection limit must be less 65536"
  end
  return { zone = d.args[1], most = most, at = d }
end

local function status(d)
  local n = units.integer(d.args[1])
  if not n then
    return nil, "invalid number"
  elseif n < 400 or n > 599 then
    return nil, "value must be between 400 and 599"
  end
  return n
end

local level = units.one_of { "info", "notice", "warn", "error" }

--- The zone that a limit names, as the model has it.
local function find_zone(c, http, v, kind)
  local zone = (http.zones or {})[v.zone]
  if not zone then
    return c:error(v.at, 'zero size shared memory zone "%s"', v.zone)
  elseif zone.kind ~= kind then
    return c:error(v.at, 'the shared memory zone "%s" is already declared for a different use', v.zone)
  end
  local index = c:intern("zones", zone.name, { name = zone.name, size = zone.size, kind = kind })
  return zone, index
end

local function add(scope, r, c, directive, kind)
  local http = scope.site.parent
  for _, v in ipairs(scope:get(directive) or {}) do
    local zone, index = find_zone(c, http, v, kind)
    if zone then
      local g = guard.of(r)
      g.limits = g.limits or {}
      table.insert(g.limits, {
        kind = kind, zone = index, key = zone.key, rate = zone.rate, burst = v.burst, delay = v.delay, most = v.most,
        dry_run = scope:get(directive .. "_dry_run") or nil, status = scope:get(directive .. "_status"),
        level = scope:get(directive .. "_log_level"),
      })
    end
  end
end

local function route(scope, r, c)
  add(scope, r, c, "limit_req", "rate")
  add(scope, r, c, "limit_conn", "conn")
  r.rate = scope:get("limit_rate")
  r.rate_after = scope:get("limit_rate_after")
end

return {
  directives = {
    limit_req_zone = { where = "http", args = { 3, 4 }, many = true, parse = limit_req_zone },
    limit_req = { where = everywhere, args = { 1, 3 }, many = true, parse = limit_req },
    limit_req_status = { where = everywhere, args = 1, parse = status, default = 503 },
    limit_req_log_level = { where = everywhere, args = 1, parse = level, default = "error" },
    limit_req_dry_run = { where = everywhere, args = 1, parse = units.onoff, default = false },
    limit_conn_zone = { where = "http", args = 2, many = true, parse = limit_conn_zone },
    limit_conn = { where = everywhere, args = 2, many = true, parse = limit_conn },
    limit_conn_status = { where = everywhere, args = 1, parse = status, default = 503 },
    limit_conn_log_level = { where = everywhere, args = 1, parse = level, default = "error" },
    limit_conn_dry_run = { where = everywhere, args = 1, parse = units.onoff, default = false },
    limit_rate = { where = "http server location if", args = 1, parse = units.rate },
    limit_rate_after = { where = "http server location if", args = 1, parse = units.rate },
  },
  route = route,
}

--- resolver, resolver_timeout: who is asked for names at run time.
local units = require "nginx.units"

local M = {}

local function switch(value)
  if value == "on" or value == "off" then
    return value == "on"
  end
end

--- One server: "127.0.0.1", "[::1]:5353", "dns.example.com:53".
local function server_of(text)
  local host, port = text:match("^(%[[%x:.]+%]):?(%d*)$")
  if not host then
    host, port = text:match("^([^:%[%]]+):?(%d*)$")
  end
  if not host or (port ~= "" and (tonumber(port) == 0 or tonumber(port) > 65535)) then
    return nil
  end
  return port ~= "" and host .. ":" .. port or host
end

local options = {
  valid = function(r, value)
    r.valid = units.ms(value)
    return r.valid
  end,
  ipv4 = function(r, value)
    r.ipv4 = switch(value)
    return r.ipv4 ~= nil
  end,
  ipv6 = function(r, value)
    r.ipv6 = switch(value)
    return r.ipv6 ~= nil
  end,
  status_zone = function()
    return true
  end,
}

--- { servers = "a,b", valid, ipv4, ipv6 }, or false: none ("off" is no word of nginx's, an empty list is).
function M.parse(d)
  local r, servers = { strict = true }, {}
  for _, arg in ipairs(d.args) do
    local key, value = arg:match("^([%w_]+)=(.*)$")
    if key and options[key] then
      if not options[key](r, value) then
        return nil, ('invalid parameter: "%s"'):format(arg)
      end
    else
      local server = server_of(arg)
      if not server then
        return nil, ('invalid resolver address "%s"'):format(arg)
      end
      servers[#servers + 1] = server
    end
  end
  if r.ipv4 == false and r.ipv6 == false then
    return nil, '"ipv4" and "ipv6" cannot both be "off"'
  end
  r.servers = table.concat(servers, ",")
  return r
end

--- The model's resolver of `r`, as an index; nil when there is none.
function M.index(r, timeout, c)
  if not r or r.servers == "" then
    return nil
  end
  local key = ("%s %s %s %s %d"):format(r.servers, r.valid or "", tostring(r.ipv4), tostring(r.ipv6), timeout)
  return (c:intern("resolvers", key, {
    servers = r.servers, valid = r.valid, ipv4 = r.ipv4, ipv6 = r.ipv6, timeout = timeout > 0 and timeout or 1, strict = true,
  }))
end

M.directives = {
  resolver = { where = "http server location upstream", args = "1+", parse = M.parse },
  resolver_timeout = { where = "http server location upstream", args = 1, parse = units.time, default = 30000 },
}

function M.route(scope, r, c)
  r.resolver = M.index(scope:get("resolver"), scope:get("resolver_timeout"), c)
end

return M

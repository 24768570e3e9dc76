--- map, geo and split_clients as `vars` of the native gateway.
local args = require "nginx.native_args"
local writer = require "nginx.native_writer"

local M = {}

local function rule(key, value)
  return ("[%q] = %q"):format(key, value)
end

--- A literal key that begins with "~" has no native form.
local function map_line(w, line, parts, values)
  local key, value = line.name, line.args[1]
  if #line.args == 0 then
    args.add(parts, key == "hostnames" and "hosts" or key == "volatile" and "fresh" or nil, key ~= "include" and "true")
  elseif key == "default" then
    args.add(parts, "default", args.quote(value))
  elseif key == "include" or key:find("^\\~") then
    w:comment(line, "no counterpart here")
  else
    values[#values + 1] = rule(args.pattern(key:gsub("^\\", "")), value)
  end
end

local switches = { ranges = true, volatile = "fresh", proxy_recursive = "recursive" }

local function geo_line(w, line, parts, values, trusted)
  local key, value = line.name, line.args[1]
  if #line.args == 0 and switches[key] then
    args.add(parts, switches[key] ~= true and switches[key] or nil, switches[key] ~= true and "true")
  elseif key == "default" then
    args.add(parts, "default", args.quote(value))
  elseif key == "proxy" then
    trusted[#trusted + 1] = value
  elseif key == "delete" or key == "include" then
    w:comment(line, "no counterpart here")
  else
    values[#values + 1] = rule(key, value)
  end
end

local writers = {}

function writers.map(w, d)
  local parts, values = { "map = " .. args.quote(d.args[1]) }, {}
  for _, line in ipairs(d.block) do
    map_line(w, line, parts, values)
  end
  return d.args[2], parts, values
end

function writers.geo(w, d)
  local parts, values, trusted = { "geo = " .. args.quote(d.args[2] and d.args[1] or "$remote_addr") }, {}, {}
  for _, line in ipairs(d.block) do
    geo_line(w, line, parts, values, trusted)
  end
  args.add(parts, "trust", trusted[1] and args.list(trusted))
  return d.args[#d.args], parts, values
end

function writers.split_clients(_, d)
  local shares = {}
  for i, line in ipairs(d.block) do
    shares[i] = args.list { line.name, line.args[1] or "" }
  end
  return d.args[2], { "split = " .. args.quote(d.args[1]), ("shares = { %s }"):format(table.concat(shares, ", ")) }, {}
end

--- What the native dialect does by itself.
local usual = { ["$connection_upgrade"] = true }

local function entry(w, kind, d)
  local name, parts, values = writers[kind](w, d)
  if usual[name] then
    return
  elseif #values > 0 then
    parts[#parts + 1] = ("values = { %s }"):format(table.concat(values, ", "))
  end
  args.group(w, writer.key(name:sub(2)), parts)
end

--- The option; nothing without variables.
---@param w table
---@param http table   directives of http by name, which are taken out
function M.options(w, http)
  local nodes = {}
  for _, kind in ipairs { "map", "geo", "split_clients" } do
    for _, d in ipairs(args.take(http, kind) or {}) do
      if not usual[d.args[#d.args]] then
        nodes[#nodes + 1] = d
      end
    end
  end
  if not nodes[1] then
    return
  end
  w:open("vars = {")
  for _, d in ipairs(nodes) do
    entry(w, d.name, d)
  end
  w:close("},")
end

return M

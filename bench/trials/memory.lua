--- Memory over many swaps: master and workers after 100 and after 1,000 swaps under a light load; then broken policies of every kind,
--- which must change nothing.
---
---   luajit bench/trials/memory.lua [SWAPS] [BROKEN]
local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local lib = require("bench.trials.lib")
local wait = require("spec.support.wait")

local M = {}

local policy = [[
local mg = require "moongate"
local t = mg.schema
local table_of_this_generation = {}
for i = 1, 500 do table_of_this_generation[i] = ("entry %%d of generation %d"):format(i) end
return mg.policy {
  name = "one", doc = "", options = t.record { text = t.string() },
  new = function(opt)
    return {
      access = function(req, ctx) ctx.text = table_of_this_generation[#req.path] .. opt.text end,
      header = function(_, res, ctx) res.headers["X-Gen"] = "%d"; res.headers["X-Text"] = ctx.text end,
      log = function() mg.metrics.counter("seen"):add(1) end,
    }
  end,
}
]]

local config = [[
gateway { listen = "127.0.0.1:0", workers = 2, log = { access = false }, shared = { things = "64k" }, probation = "%s" }
site "*" {
  proxy = "http://127.0.0.1:%d",
  use = { policy "one" { text = "x" } },
  route "/a/*" { on = { access = function(req) mg.shared.things:set(req.path, 1) end } },
  route "/b/:id" { request_headers = { set = { ["X-Id"] = "$id" } } },
  route "~ ^/c/\\d+$" { headers = { set = { ["X-C"] = "$host" } } },
}
]]

--- Ways to break a policy (or what uses it), and what the refusal must say.
M.breakages = {
  { name = "syntax error", policy = "return mg.policy { name = ", says = "one.lua:1: " },
  { name = "error at the top", policy = 'local x = nil\nreturn x.y', says = "one.lua:2: " },
  { name = "error in new", policy = policy:format(0, 0):gsub("return {\n      access", 'error("not today")\n    return {\n      access'),
    says = "not today" },
  { name = "new returns a number", policy = 'local mg = require "moongate"\nreturn mg.policy { name = "one", doc = "", options = '
    .. 'mg.schema.record { text = mg.schema.string() }, new = function() return 5 end }', says = "one" },
  { name = "returns no policy", policy = "return 42", says = "one.lua" },
  { name = "unknown phase", policy = policy:format(0, 0):gsub("access =", "acces ="), says = "acces" },
  { name = "missing module", policy = 'local m = require "no.such.module"\nreturn m', says = "no.such.module" },
  { name = "wrong option type", config = function(c)
    return (c:gsub('text = "x"', "text = 5"))
  end, says = "gateway.lua:%d+:%d+: error: " },
  { name = "unknown option", config = function(c)
    return (c:gsub('text = "x"', 'text = "x", txet = "y"'))
  end, says = "txet" },
  { name = "missing certificate", config = function(c)
    return (c:gsub('proxy =', 'tls = "/nonexistent", proxy ='))
  end, says = "/nonexistent" },
}

--- Memory of master and workers (of all workers together), KiB, once nothing is pinned by a request.
local function measure(gw)
  wait.till(function()
    return #ctl.status(gw).generations <= 2
  end, "old generations to go", 20)
  local m = { descriptors = 0, rss = 0, pss = 0, lua = 0 }
  m.master_rss, m.master_pss = lib.memory(gw.pid)
  m.master_descriptors = lib.descriptors(gw.pid)
  for _, pid in ipairs(ctl.workers(gw)) do
    local rss, pss = lib.memory(pid)
    m.rss, m.pss, m.descriptors = m.rss + rss, m.pss + pss, m.descriptors + lib.descriptors(pid)
  end
  for _, generation in ipairs(ctl.status(gw).generations) do
    m.lua = m.lua + generation.lua_bytes / 1024
  end
  return m
end

local function swap(gw, number)
  gw:write("policies/one.lua", policy:format(number, number))
  local done = ctl.run(gw, "reload")
  assert(done.status == 0, done:stderr())
end

--- Pushes one broken thing; nil, or what went wrong.
local function push(gw, breakage, good_config, good_policy)
  gw:write("policies/one.lua", breakage.policy or good_policy)
  gw:write(gw.name, breakage.config and breakage.config(good_config) or good_config)
  local done = ctl.run(gw, "reload")
  if done.status == 0 then
    return breakage.name .. ": accepted"
  elseif not done:stderr():find(breakage.says) then
    return breakage.name .. ": refused with: " .. done:stderr()
  end
end

local function push_all(gw, options, good, number, wrong)
  for i = 1, options.broken do
    local why = push(gw, M.breakages[(i - 1) % #M.breakages + 1], good, policy:format(number, number))
    if why then
      wrong[why] = (wrong[why] or 0) + 1
    end
    if i % 50 == 0 and client.get(gw.port, "/").headers:get("X-Gen") ~= tostring(number) then
      wrong["another generation answered"] = (wrong["another generation answered"] or 0) + 1
    end
  end
end

---@param options { first: integer, swaps: integer, broken: integer, rate: integer }
---@return table figures
function M.run(options)
  local origin = lib.process("origin")
  local good = config:format("1s", origin.port)
  local gw = gateway.start(good, { files = { ["policies/one.lua"] = policy:format(1, 1) } })
  local load = lib.load(gw.port, { path = "/b/7", rate = options.rate, clients = 4 })
  local at, wrong = {}, {}
  for i = 1, options.swaps do
    swap(gw, i + 1)
    if i == options.first then
      at[1] = measure(gw)
    end
  end
  at[2] = measure(gw)
  local number = options.swaps + 1
  push_all(gw, options, good, number, wrong)
  at[3] = measure(gw)
  local figures, status = load.finish(), ctl.status(gw)
  return { at = at, wrong = wrong, load = figures, status = status, number = number, log = gw:stderr() }
end

--- What must hold, as a list of what does not.
---@param r table
---@param tolerance number  1.1: ten percent more
---@return string[]
function M.broken(r, tolerance)
  local list = {}
  for why, n in pairs(r.wrong) do
    list[#list + 1] = ("%s (%d times)"):format(why, n)
  end
  for i = 2, 3 do
    for _, key in ipairs { "master_rss", "master_pss", "rss", "pss" } do
      if r.at[i][key] > r.at[i - 1][key] * tolerance then
        list[#list + 1] = ("%s grew from %d to %d KiB"):format(key, r.at[i - 1][key], r.at[i][key])
      end
    end
    for _, key in ipairs { "master_descriptors", "descriptors" } do
      if r.at[i][key] > r.at[i - 1][key] + 4 then
        list[#list + 1] = ("%s grew from %d to %d"):format(key, r.at[i - 1][key], r.at[i][key])
      end
    end
  end
  if r.load.failed > 0 then
    list[#list + 1] = r.load.failed .. " requests failed: " .. lib.reasons(r.load.reasons)
  end
  if r.status.generation ~= r.number then
    list[#list + 1] = ("generation is %d, not %d"):format(r.status.generation, r.number)
  end
  return list
end

local function report(r, options)
  local rows = { { "after", "master RSS", "PSS", "descriptors", "2 workers RSS", "PSS", "descriptors", "Lua" } }
  local names = { options.first .. " swaps", options.swaps .. " swaps", options.broken .. " broken" }
  for i, m in ipairs(r.at) do
    rows[#rows + 1] = { names[i], m.master_rss .. " KiB", m.master_pss .. " KiB", m.master_descriptors, m.rss .. " KiB",
      m.pss .. " KiB", m.descriptors, ("%d KiB"):format(m.lua) }
  end
  print(lib.table(rows))
  print(("generation %d; %d requests meanwhile, %d failed (%s)"):format(r.status.generation, r.load.sent, r.load.failed,
    lib.reasons(r.load.reasons)))
end

if lib.is_main("memory") then
  lib.main(550, function()
    local options = { first = 100, swaps = tonumber(arg[1]) or 1000, broken = tonumber(arg[2]) or 1000, rate = 200 }
    local r = M.run(options)
    report(r, options)
    local broken = M.broken(r, 1.1)
    for _, what in ipairs(broken) do
      print("BROKEN: " .. what)
    end
    return #broken == 0
  end)
end

return M

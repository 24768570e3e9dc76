--- Which peers are used: active checks, outliers, slow starts.
local client = require("spec.support.client")
local ctl = require("spec.proc.ctl")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local wait = require("spec.support.wait")

--- A gateway in front of these ports, every upstream option as text.
local function start(ports, options, workers)
  local peers = {}
  for i, port in ipairs(ports) do
    peers[i] = ('"127.0.0.1:%d"'):format(port)
  end
  return gateway.start(([[
    gateway { listen = "127.0.0.1:0", workers = %d, log = { access = false, level = "info" } }
    upstream "u" { %s, balance = "round_robin", %s }
    site "*" { proxy = "u" }
  ]]):format(workers or 1, table.concat(peers, ", "), options))
end

--- State of each peer in the status page, by port.
local function states(gw)
  local out = {}
  for _, p in ipairs(ctl.status(gw).upstreams[1].peers) do
    out[tonumber(p.address:match("%d+$"))] = p.state
  end
  return out
end

--- How many of n requests each origin got.
local function spread(gw, n, origins)
  for _, o in ipairs(origins) do
    o.seen = 0
  end
  for _ = 1, n do
    assert.equal(200, client.get(gw.port, "/").status)
  end
  local out = {}
  for i, o in ipairs(origins) do
    out[i] = o.seen
  end
  return out
end

--- An origin whose answer to checks can be changed: o.well.
local function checked(answer)
  local o
  o = origin.start(function(req)
    if req.path == "/healthz" then
      o.checks = o.checks + 1
      o.agent, o.host = req.headers:get("User-Agent"), req.headers:get("Host")
      return answer(o)
    end
    o.seen = (o.seen or 0) + 1
    return 200, nil, "ok"
  end)
  o.checks, o.well, o.seen = 0, true, 0
  return o
end

local function by_status(o)
  return o.well and 200 or 503, nil, "fine"
end

local CHECK = 'health = { active = { path = "/healthz", every = "20ms", timeout = "500ms", rise = 2, fall = 2%s } }'

describe("active checks", function()
  it("take a peer out and bring it back, whatever requests find", run(function()
    local a, b = checked(by_status), checked(by_status)
    local gw = start({ a.port, b.port }, CHECK:format(""))
    wait.till(function()
      return a.checks > 2 and b.checks > 2
    end, "checks of both")
    assert.equal("moongate-health", a.agent)
    assert.same({ 3, 3 }, spread(gw, 6, { a, b }))
    a.well = false
    wait.till(function()
      return states(gw)[a.port] == "sick"
    end, "the sick one to be out")
    assert.same({ 0, 6 }, spread(gw, 6, { a, b }))
    a.well = true
    wait.till(function()
      return states(gw)[a.port] == "up"
    end, "its return")
    assert.same({ 3, 3 }, spread(gw, 6, { a, b }))
  end))

  it("look at the body, as text and as a pattern", run(function()
    for _, expect in ipairs { '"f.ne"', '"~ ^fi[mn]e$"' } do
      local a, b = checked(by_status), checked(function()
        return 200, nil, "out of order"
      end)
      expect = expect:gsub("f.ne", "fine")
      local gw = start({ a.port, b.port }, CHECK:format(', expect = { body = ' .. expect .. " }"))
      wait.till(function()
        return states(gw)[b.port] == "sick"
      end, "the wrong body to count")
      assert.equal("up", states(gw)[a.port])
      gw:stop()
    end
  end))

  it("take the statuses that are asked for", run(function()
    local a, b = checked(function()
      return 401
    end), checked(by_status)
    local gw = start({ a.port, b.port }, CHECK:format(', expect = { status = { "401" } }'))
    wait.till(function()
      return states(gw)[b.port] == "sick"
    end, "200 to be wrong")
    assert.equal("up", states(gw)[a.port])
  end))

  it("only connect when the type is tcp", run(function()
    local a, b = origin.start(), origin.start()
    local port = b.port
    local gw = start({ a.port, port }, 'health = { active = { type = "tcp", every = "20ms", fall = 2 } }')
    b:stop()
    wait.till(function()
      return states(gw)[port] == "sick"
    end, "the closed port to count")
    assert.equal("up", states(gw)[a.port])
  end))

  it("are made by one worker for all, and by another when it dies", run(function()
    local a, b = checked(by_status), checked(by_status)
    local gw = start({ a.port, b.port }, CHECK:format(""), 2)
    b.well = false
    wait.till(function()
      return states(gw)[b.port] == "sick"
    end, "all workers to know")
    for _, pid in ipairs(ctl.workers(gw)) do
      require("posix.signal").kill(pid, 9)
      local before = a.checks
      wait.till(function()
        return a.checks > before + 3
      end, "the checks to go on")
    end
    assert.equal("sick", states(gw)[b.port])
  end))

  it("use everybody when nobody is well", run(function()
    local a = checked(by_status)
    a.well = false
    local b = checked(by_status)
    b.well = false
    local gw = start({ a.port, b.port }, CHECK:format(""))
    wait.till(function()
      local s = states(gw)
      return s[a.port] == "sick" and s[b.port] == "sick"
    end, "both to be out")
    assert.same({ 2, 2 }, spread(gw, 4, { a, b }))
  end))
end)

describe("outlier detection", function()
  it("takes out the peer that answers with errors", run(function()
    local a = checked(by_status)
    local b = origin.start(function()
      return 500, nil, "no"
    end)
    local gw = start({ a.port, b.port },
      'health = { outlier = { window = "200ms", requests = 5, errors = 50, out = "1h" } }')
    wait.till(function()
      for _ = 1, 20 do
        client.get(gw.port, "/")
      end
      return states(gw)[b.port] == "outlier"
    end, "the failing one to be out")
    assert.equal("up", states(gw)[a.port])
    assert.same({ 5 }, spread(gw, 5, { a }))
  end))
end)

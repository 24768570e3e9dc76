--- Which peers are used: active checks, outliers, slow starts.
local certs = require("spec.support.certs")
local client = require("spec.support.client")
local cqueues = require("cqueues")
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

  it("go over TLS where requests do, and believe no more than they", run(function()
    local trusted, other = certs.make("app.internal"), certs.make("other.internal")
    local function secure(pair)
      local o
      o = origin.start(function(req)
        o.checks = o.checks + (req.path == "/healthz" and 1 or 0)
        return 200, nil, "ok"
      end, { tls = pair })
      o.checks = 0
      return o
    end
    local a, b = secure(trusted), secure(other)
    local plain = checked(by_status)
    local function over_tls(tls)
      return gateway.start(([[
        gateway { listen = "127.0.0.1:0", workers = 1, log = { access = false } }
        upstream "u" { "https://127.0.0.1:%d", "https://127.0.0.1:%d", "https://127.0.0.1:%d", %s, tls = { %s } }
        site "*" { proxy = "u" }
      ]]):format(a.port, b.port, plain.port, CHECK:format(""), tls))
    end
    local gw = over_tls(('ca = "%s", name = "app.internal"'):format(trusted.cert))
    wait.till(function()
      local s = states(gw)
      return s[b.port] == "sick" and s[plain.port] == "sick" and a.checks >= 3
    end, "the others to be out")
    assert.equal("up", states(gw)[a.port])
    assert.equal(0, b.checks)
    assert.equal(0, plain.checks)
    assert.equal(200, client.get(gw.port, "/").status)
    gw:stop()
    gw = over_tls("verify = false")
    wait.till(function()
      return states(gw)[plain.port] == "sick" and b.checks >= 3
    end, "the plain one to be out")
    assert.equal("up", states(gw)[b.port])
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

describe("outlier detection by time", function()
  --- An origin that takes this long for its head.
  local function taking(seconds)
    return origin.start(function()
      cqueues.poll(seconds)
      return 200, nil, "ok"
    end)
  end

  local OUTLIER = 'health = { outlier = { window = "300ms", requests = 2, errors = 0, latency = 300, out = "1h", share = 50 } }'

  it("takes out the peer that is slower than the others by so much", run(function()
    local a, b, c = taking(0.001), taking(0.001), taking(0.05)
    local gw = start({ a.port, b.port, c.port }, OUTLIER)
    wait.till(function()
      for _ = 1, 12 do
        client.get(gw.port, "/")
      end
      return states(gw)[c.port] == "outlier"
    end, "the slow one to be out", 15)
    local s = states(gw)
    assert.same({ "up", "up" }, { s[a.port], s[b.port] })
  end))

  it("takes nobody out when all are slow", run(function()
    local a, b = taking(0.02), taking(0.02)
    local gw = start({ a.port, b.port }, OUTLIER)
    for _ = 1, 60 do
      assert.equal(200, client.get(gw.port, "/").status)
    end
    local s = states(gw)
    assert.same({ "up", "up" }, { s[a.port], s[b.port] })
  end))
end)

describe("the panic share", function()
  --- A gateway over four origins, and itself: each answers who it is while it is well, and cuts otherwise.
  local function four(options)
    local all, ports = {}, {}
    for i = 1, 4 do
      local o
      o = origin.start(function(_, res)
        if not o.well then
          return res:cut()
        end
        return 200, nil, tostring(i)
      end)
      o.well = true
      all[i], ports[i] = o, o.port
    end
    return start(ports, options, 2), all
  end

  local function count(gw, state)
    local n = 0
    for _, s in pairs(states(gw)) do
      n = n + (s == state and 1 or 0)
    end
    return n
  end

  --- Requests until as many as that are out, and some more.
  local function ask(gw, ejected)
    wait.till(function()
      client.get(gw.port, "/")
      return count(gw, "ejected") >= ejected
    end, ejected .. " to be out", 10)
    for _ = 1, 12 do
      client.get(gw.port, "/")
    end
  end

  it("keeps failing peers in rotation when too many fail", run(function()
    local gw, all = four('health = { passive = { fails = 1, window = "60s", panic = 50 } }')
    for i = 1, 3 do
      all[i].well = false
    end
    ask(gw, 2)
    assert.equal(2, count(gw, "ejected"))
    assert.equal(2, count(gw, "up"))
    for i = 1, 3 do
      all[i].well = true
    end
    local found = {} -- the one that stayed in is asked at once, the two others are not before their window is over
    for _ = 1, 12 do
      found[client.get(gw.port, "/").body] = true
    end
    assert.is_true(found["4"])
    local n = 0
    for _ in pairs(found) do
      n = n + 1
    end
    assert.equal(2, n)
  end))

  it("is a share of the peers that are in service: drained ones do not count", run(function()
    local gw, all = four('health = { passive = { fails = 1, window = "60s", panic = 50 } }')
    for i = 3, 4 do
      assert.equal(0, ctl.run(gw, "upstream", "drain", "u", "127.0.0.1:" .. all[i].port).status)
    end
    for i = 1, 2 do
      all[i].well = false
    end
    ask(gw, 1)
    assert.equal(1, count(gw, "ejected"))
    assert.equal(1, count(gw, "up"))
    assert.equal(2, count(gw, "drained"))
  end))

  it("of 0 ejects nobody, of 100 everybody", run(function()
    local gw, all = four('health = { passive = { fails = 1, window = "60s", panic = 0 } }')
    for i = 1, 4 do
      all[i].well = false
    end
    for _ = 1, 12 do
      client.get(gw.port, "/")
    end
    assert.equal(4, count(gw, "up"))
    gw, all = four('health = { passive = { fails = 1, window = "60s", panic = 100 } }')
    for i = 1, 4 do
      all[i].well = false
    end
    ask(gw, 4)
    assert.equal(502, client.get(gw.port, "/").status)
  end))
end)

describe("a slow start", function()
  it("gives a peer that recovers by its checks its share step by step, until its time is over", run(function()
    local a, b = checked(by_status), checked(by_status)
    b.well = false
    local gw = start({ a.port, b.port }, (CHECK:format(""):gsub(" }$", ', slow_start = "1s" }')))
    wait.till(function()
      return states(gw)[b.port] == "sick"
    end, "it to be out")
    b.well = true
    wait.till(function()
      return states(gw)[b.port] == "recovering"
    end, "it to recover")
    local early = spread(gw, 40, { a, b })
    assert.is_true(early[2] < early[1], "it got " .. early[2])
    wait.till(function()
      client.get(gw.port, "/")
      return states(gw)[b.port] == "up"
    end, "it to be up", 10)
    assert.same({ 5, 5 }, spread(gw, 10, { a, b }))
  end))
end)

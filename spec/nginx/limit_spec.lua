--- limit_req, limit_conn, limit_rate in nginx syntax.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local wait = require("spec.support.wait")
local start = require("spec.nginx.start")

local function now()
  return require("cqueues").monotime()
end

local function proxy(o)
  return ("proxy_pass http://127.0.0.1:%d;"):format(o.port)
end

describe("limit_req", function()
  it("refuses what is beyond the burst and does not count it", run(function()
    local o = origin.start()
    local gw = start(([[
      limit_req_zone $binary_remote_addr zone=one:1m rate=1r/m;
      server { listen 127.0.0.1:0;
        location / { limit_req zone=one burst=1 nodelay; %s }
        location /status { limit_req zone=one; limit_req_status 429; %s } }
    ]]):format(proxy(o), proxy(o)))
    assert.equal(200, client.get(gw.port, "/").status)
    assert.equal(200, client.get(gw.port, "/").status)
    assert.equal(503, client.get(gw.port, "/").status)
    assert.equal(429, client.get(gw.port, "/status").status)
    gw:wait_log('limiting requests, excess: 2%.%d+ by zone "one", client: 127%.0%.0%.1')
    assert.equal(2, #o.requests)
  end))

  it("delays what comes early, and no more than that", run(function()
    local o = origin.start()
    local gw = start(([[
      limit_req_zone $arg_k zone=one:1m rate=5r/s;
      server { listen 127.0.0.1:0; location / { limit_req zone=one burst=5; %s } }
    ]]):format(proxy(o)))
    local from = now()
    for _ = 1, 3 do
      assert.equal(200, client.get(gw.port, "/?k=1").status)
    end
    local took = now() - from
    assert.is_true(took >= 0.38 and took < 1.5, "it took " .. took)
    gw:wait_log('delaying request, excess: [01]%.%d+, by zone "one"')
  end))

  it("counts in a zone only when every zone lets the request pass", run(function()
    local o = origin.start()
    local gw = start(([[
      limit_req_zone $arg_a zone=slow:1m rate=1r/m;
      limit_req_zone $arg_b zone=fast:1m rate=1r/m;
      server { listen 127.0.0.1:0; location / { limit_req zone=fast; limit_req zone=slow; %s } }
    ]]):format(proxy(o)))
    assert.equal(200, client.get(gw.port, "/?a=1").status)
    assert.equal(503, client.get(gw.port, "/?a=1&b=1").status)
    assert.equal(200, client.get(gw.port, "/?b=1").status)
    assert.equal(503, client.get(gw.port, "/?b=1").status)
    for _ = 1, 3 do
      assert.equal(200, client.get(gw.port, "/").status)
    end
  end))

  it("only tells in a dry run", run(function()
    local o = origin.start()
    local gw = start(([[
      limit_req_zone $binary_remote_addr zone=one:1m rate=1r/m;
      server { listen 127.0.0.1:0; limit_req_dry_run on; add_header X-Limit $limit_req_status always;
        location / { limit_req zone=one burst=1; %s } }
    ]]):format(proxy(o)))
    local said = {}
    for i = 1, 3 do
      local res = client.get(gw.port, "/")
      assert.equal(200, res.status)
      said[i] = res.headers:get("x-limit") or "-"
    end
    assert.same({ "PASSED", "DELAYED_DRY_RUN", "REJECTED_DRY_RUN" }, said)
    gw:wait_log("delaying request, dry run, excess: 1")
    gw:wait_log("limiting requests, dry run, excess: 2")
  end))
end)

describe("limit_conn", function()
  it("refuses more requests at once, until one is over", run(function()
    local gate = origin.gate()
    local o = origin.start(function(_, res)
      res:wait(gate)
      return 200
    end)
    local gw = start(([[
      limit_conn_zone $binary_remote_addr zone=c:1m;
      server { listen 127.0.0.1:0; location / { limit_conn c 1; limit_conn_status 509; %s } }
    ]]):format(proxy(o)))
    local one = client.connect(gw.port)
    one:request("GET", "/")
    wait.till(function()
      return #o.requests == 1
    end, "the first request")
    assert.equal(509, client.get(gw.port, "/").status)
    gw:wait_log('limiting connections by zone "c"')
    gate:open()
    assert.equal(200, one:response().status)
    assert.equal(200, client.get(gw.port, "/").status)
  end))
end)

describe("limit_rate", function()
  it("slows a response down after what is free", run(function()
    local o = origin.start(function()
      return 200, nil, ("x"):rep(30000)
    end)
    local gw = start(([[
      server { listen 127.0.0.1:0;
        location / { limit_rate 16k; limit_rate_after 1k; %s }
        location /var { limit_rate $arg_rate; %s } }
    ]]):format(proxy(o), proxy(o)))
    local from = now()
    assert.equal(30000, #client.get(gw.port, "/").body)
    assert.is_true(now() - from > 0.5)
    from = now()
    assert.equal(30000, #client.get(gw.port, "/var").body)
    assert.is_true(now() - from < 0.5)
    from = now()
    assert.equal(30000, #client.get(gw.port, "/var?rate=16k").body)
    assert.is_true(now() - from > 0.5)
  end))
end)

local unit = require("spec.support.unit")
local helper = require("spec.unit.core.shm.helper")
local ffi = unit.ffi
local C = unit.use("base/err.h", "shm/seg.h", "shm/stats.h", "shm/metrics.h")

local function render(fn)
  local pieces = {}
  local append = ffi.cast("stats_append *", function(_, p, n)
    pieces[#pieces + 1] = ffi.string(p, n)
    return 0
  end)
  assert.equal(0, fn(append))
  append:free()
  return table.concat(pieces)
end

describe("shm/stats", function()
  local stats

  before_each(function()
    stats = helper.open(C, tonumber(C.stats_bytes(4)) + 128, "stats", function(seg, out)
      return C.stats_open(seg, 4, out)
    end)
  end)

  local function in_slot(slot, fn)
    assert.is_true(helper.join(helper.child(function()
      C.stats_start(stats, slot)
      fn(C.stats_mine)
    end)))
  end

  it("counts privately before it is started", function()
    C.stats_mine.cells[C.STAT_REQUESTS] = 5
    assert.equal(0, tonumber(C.stats_sum(stats, C.STAT_REQUESTS)))
  end)

  it("sums what each worker counted, also of those that ended", function()
    for slot = 0, 3 do
      in_slot(slot, function(mine)
        mine.cells[C.STAT_REQUESTS] = mine.cells[C.STAT_REQUESTS] + 10 + slot
      end)
    end
    in_slot(1, function(mine)
      mine.cells[C.STAT_REQUESTS] = mine.cells[C.STAT_REQUESTS] + 100
    end)
    assert.equal(146, tonumber(C.stats_sum(stats, C.STAT_REQUESTS)))
    assert.equal(111, tonumber(C.stats_of(stats, 1, C.STAT_REQUESTS)))
  end)

  it("starts gauges anew with the slot's next worker and forgets a dead one's", function()
    in_slot(0, function(mine)
      mine.cells[C.STAT_CONNS_ACTIVE] = 7
    end)
    in_slot(1, function(mine)
      mine.cells[C.STAT_CONNS_ACTIVE] = 2
    end)
    assert.equal(9, tonumber(C.stats_sum(stats, C.STAT_CONNS_ACTIVE)))
    C.stats_forget(stats, 0)
    assert.equal(2, tonumber(C.stats_sum(stats, C.STAT_CONNS_ACTIVE)))
  end)

  it("never shows a gauge below zero", function()
    in_slot(0, function(mine)
      mine.cells[C.STAT_CONNS_ACTIVE] = 0ULL - 1
    end)
    assert.equal(0, tonumber(C.stats_sum(stats, C.STAT_CONNS_ACTIVE)))
  end)

  it("sorts durations into buckets of powers of two", function()
    in_slot(2, function()
      for _, us in ipairs({ -5, 0, 127, 128, 255, 256, 1e12 }) do
        C.stats_duration(C.STAT_HIST_REQUEST_TIME, us)
      end
    end)
    local sum = ffi.new("stats_hist")
    C.stats_sum_hist(stats, C.STAT_HIST_REQUEST_TIME, sum)
    assert.equal(3, tonumber(sum.buckets[0]))
    assert.equal(2, tonumber(sum.buckets[1]))
    assert.equal(1, tonumber(sum.buckets[2]))
    assert.equal(1, tonumber(sum.buckets[C.STATS_HIST_BUCKETS - 1]))
    assert.equal(127 + 128 + 255 + 256 + 1e12, tonumber(sum.sum_us))
  end)

  it("renders every figure once, with help and type per metric", function()
    in_slot(0, function(mine)
      mine.cells[C.STAT_REQUESTS] = 12
      mine.cells[C.STAT_RESPONSES_4XX] = 3
      mine.cells[C.STAT_ERRORS - C.ERR_TIMEOUT] = 2
      C.stats_duration(C.STAT_HIST_REQUEST_TIME, 200)
    end)
    local text = render(function(append)
      return C.stats_render(stats, nil, append, nil)
    end)
    assert.is_truthy(text:find("# TYPE moongate_requests_total counter\nmoongate_requests_total 12\n", 1, true))
    assert.is_truthy(text:find('\nmoongate_responses_total{class="4xx"} 3\n', 1, true))
    assert.is_truthy(text:find('\nmoongate_errors_total{code="TIMEOUT"} 2\n', 1, true))
    assert.is_truthy(text:find('\nmoongate_request_seconds_bucket{le="0.000256"} 1\n', 1, true))
    assert.is_truthy(text:find('\nmoongate_request_seconds_bucket{le="+Inf"} 1\n', 1, true))
    assert.is_truthy(text:find("\nmoongate_request_seconds_sum 0.000200\n", 1, true))
    local types = {}
    for name in text:gmatch("# TYPE (%S+)") do
      assert.is_nil(types[name], name)
      types[name] = true
    end
    for line in text:gmatch("[^\n]+") do
      assert.is_truthy(line:match("^# ") or line:match("^[%w_]+ %-?[%d.]+$")
        or line:match('^[%w_]+{[%w_]+="[^"]*"} [%d.]+$'), line)
    end
  end)

  it("stops when the caller's function fails", function()
    local append = ffi.cast("stats_append *", function()
      return C.ERR_MEM
    end)
    assert.equal(C.ERR_MEM, C.stats_render(stats, nil, append, nil))
    append:free()
  end)

  it("keeps its figures when it is opened again with the same shape only", function()
    local seg = helper.segment(C, tonumber(C.stats_bytes(4)) + 4096)
    local out = ffi.new("stats *[1]")
    assert.equal(0, C.stats_open(seg, 4, out))
    assert.equal(0, C.stats_open(seg, 4, out))
    assert.equal(C.ERR_INVALID, C.stats_open(seg, 3, out))
    assert.equal(C.ERR_INVALID, C.stats_open(helper.segment(C, 4096), 200, out))
  end)
end)

describe("shm/metrics", function()
  local metrics, anchor

  before_each(function()
    anchor = {}
    metrics = helper.open(C, tonumber(C.metrics_bytes(4, 16)) + 128, "metrics", function(seg, out)
      return C.metrics_open(seg, 4, 16, out)
    end)
  end)

  local function register(kind, name, labels, bounds)
    local def = ffi.new("metric_def")
    local list = ffi.new("metric_label[?]", 8)
    for i, label in ipairs(labels or {}) do
      list[i - 1].name, list[i - 1].value = unit.str(label[1]), unit.str(label[2])
    end
    local limits = ffi.new("double[?]", 32, bounds or {})
    anchor[#anchor + 1] = { list, limits, labels }
    def.kind, def.name, def.doc = kind, unit.str(name), unit.str("What\nit is")
    def.labels, def.n_labels = list, #(labels or {})
    def.bounds, def.n_bounds = limits, #(bounds or {})
    return C.metrics_register(metrics, def)
  end

  local function in_slot(slot, fn)
    assert.is_true(helper.join(helper.child(function()
      C.metrics_start(slot)
      fn()
    end)))
  end

  it("gives the same series the same id", function()
    local a = register(C.METRIC_COUNTER, "hits_total", { { "route", "a" } })
    local b = register(C.METRIC_COUNTER, "hits_total", { { "route", "b" } })
    assert.are_not.equal(a, b)
    assert.equal(a, register(C.METRIC_COUNTER, "hits_total", { { "route", "a" } }))
    in_slot(1, function()
      assert(register(C.METRIC_COUNTER, "hits_total", { { "route", "b" } }) == b)
    end)
    assert.equal(2, C.metrics_count(metrics))
  end)

  it("sums counters over workers and ignores negative steps", function()
    local id = register(C.METRIC_COUNTER, "n_total")
    in_slot(0, function()
      C.metrics_add(metrics, id, 2)
      C.metrics_add(metrics, id, -5)
      C.metrics_add(metrics, id, 0 / 0)
    end)
    in_slot(3, function()
      C.metrics_add(metrics, id, 0.5)
    end)
    assert.equal(2.5, C.metrics_value(metrics, id))
  end)

  it("has one value per gauge, whoever sets it", function()
    local id = register(C.METRIC_GAUGE, "depth")
    in_slot(0, function()
      C.metrics_set(metrics, id, 10)
    end)
    in_slot(1, function()
      C.metrics_add(metrics, id, -3)
    end)
    assert.equal(7, C.metrics_value(metrics, id))
  end)

  it("counts observations in cumulative buckets", function()
    local id = register(C.METRIC_HISTOGRAM, "size", { { "k", 'a"b\\c\nd' } }, { 1, 10, 100 })
    in_slot(0, function()
      C.metrics_observe(metrics, id, 1)
      C.metrics_observe(metrics, id, 1000)
    end)
    in_slot(2, function()
      C.metrics_observe(metrics, id, 5.5)
      C.metrics_observe(metrics, id, 0 / 0)
    end)
    assert.equal(3, C.metrics_value(metrics, id))
    local text = render(function(append)
      return C.metrics_render(metrics, append, nil)
    end)
    local labels = [[k="a\"b\\c\nd"]]
    assert.is_truthy(text:find(table.concat({
      "# HELP size What it is", "# TYPE size histogram", "size_bucket{" .. labels .. ',le="1"} 1',
      "size_bucket{" .. labels .. ',le="10"} 2', "size_bucket{" .. labels .. ',le="100"} 2',
      "size_bucket{" .. labels .. ',le="+Inf"} 3', "size_sum{" .. labels .. "} 1006.5",
      "size_count{" .. labels .. "} 3", "",
    }, "\n"), 1, true), text)
  end)

  it("renders the series of one name together", function()
    register(C.METRIC_COUNTER, "a_total", { { "x", "1" } })
    register(C.METRIC_GAUGE, "b")
    register(C.METRIC_COUNTER, "a_total", { { "x", "2" } })
    local text = render(function(append)
      return C.metrics_render(metrics, append, nil)
    end)
    assert.is_truthy(text:find('# TYPE a_total counter\na_total{x="1"} 0\na_total{x="2"} 0\n# HELP b', 1, true))
  end)

  it("refuses bad names, labels, bounds and a second meaning", function()
    local bad = C.ERR_INVALID
    assert.equal(bad, register(C.METRIC_COUNTER, ""))
    assert.equal(bad, register(C.METRIC_COUNTER, "1st"))
    assert.equal(bad, register(C.METRIC_COUNTER, "a b"))
    assert.equal(bad, register(C.METRIC_COUNTER, "ok", { { "a:b", "v" } }))
    assert.equal(bad, register(C.METRIC_COUNTER, "ok", { { "a", ("v"):rep(300) } }))
    assert.equal(bad, register(C.METRIC_COUNTER, "ok", nil, { 1 }))
    assert.equal(bad, register(C.METRIC_HISTOGRAM, "ok"))
    assert.equal(bad, register(C.METRIC_HISTOGRAM, "ok", nil, { 1, 1 }))
    assert.equal(bad, register(C.METRIC_HISTOGRAM, "ok", nil, { 1, math.huge }))
    assert.is_true(register(C.METRIC_HISTOGRAM, "ok", nil, { 1, 2 }) >= 0)
    assert.equal(bad, register(C.METRIC_COUNTER, "ok"))
    assert.equal(bad, register(C.METRIC_HISTOGRAM, "ok", { { "a", "b" } }, { 1, 3 }))
  end)

  it("refuses series beyond its bound and ids it never gave out", function()
    for i = 1, 16 do
      assert.equal(i - 1, register(C.METRIC_COUNTER, "n" .. i))
    end
    assert.equal(C.ERR_LIMIT, register(C.METRIC_COUNTER, "n17"))
    C.metrics_add(metrics, 16, 1)
    C.metrics_add(metrics, -1, 1)
    C.metrics_set(metrics, 3, 1)
    C.metrics_observe(metrics, 3, 1)
    assert.equal(0, C.metrics_value(metrics, 99))
    assert.equal(0, C.metrics_value(metrics, 3))
  end)
end)

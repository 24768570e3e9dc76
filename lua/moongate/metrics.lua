--- mg.metrics: counters, gauges and histograms of policies; they appear on the metrics page and survive reloads.
---
---   local denied = mg.metrics.counter("denied_total", "Requests refused", { "reason" })
---   denied:inc(1, "no_key")
---   local size = mg.metrics.histogram("body_bytes", "Size of bodies", { 100, 1e4, 1e6 })
---   size:observe(n)
local core = require "moongate.core"

---@class moongate.Metrics
local M = {}

local MAX_SERIES = 1000

--- Id of the series with these label values; registered at its first use. -1 once there are too many.
local function series(self, ...)
  if self.single then
    return self.single
  end
  local names = self.labels
  local key = select("#", ...) == 1 and (...) or table.concat({ ... }, "\0")
  local id = self.ids[key]
  if id then
    return id
  end
  local values, pairs_of = { ... }, {}
  for i, name in ipairs(names) do
    pairs_of[2 * i - 1], pairs_of[2 * i] = name, tostring(values[i] == nil and "" or values[i])
  end
  if self.count >= MAX_SERIES then
    return -1
  end
  id = core.metric(self.kind, self.name, self.doc, pairs_of, self.bounds) or -1
  self.ids[key], self.count = id, self.count + 1
  return id
end

local Counter = {}
Counter.__index = Counter

--- Adds `by` (1), with one value for each label.
function Counter:inc(by, ...)
  core.metric_add(series(self, ...), by or 1)
end

--- Sum over all workers.
---@return number
function Counter:value(...)
  return core.metric_value(series(self, ...))
end

local Gauge = {}
Gauge.__index = Gauge
Gauge.value = Counter.value

function Gauge:set(value, ...)
  core.metric_set(series(self, ...), value)
end

function Gauge:add(by, ...)
  core.metric_add(series(self, ...), by)
end

local Histogram = {}
Histogram.__index = Histogram
Histogram.count = Counter.value

function Histogram:observe(value, ...)
  core.metric_observe(series(self, ...), value)
end

local function new(class, kind, name, doc, labels, bounds)
  local self = { kind = kind, name = name, doc = doc, labels = labels or {}, bounds = bounds, ids = {}, count = 0 }
  if #self.labels == 0 then
    local id, err = core.metric(kind, name, doc, nil, bounds)
    if not id then
      error(("mg.metrics.%s(%q): %s"):format(kind, tostring(name), err), 3)
    end
    self.single = id >= 0 and id or nil
  end
  return setmetatable(self, class)
end

---@param name string
---@param doc string|nil
---@param labels string[]|nil  names; values are given with each call
function M.counter(name, doc, labels)
  return new(Counter, "counter", name, doc, labels)
end

---@param name string
---@param doc string|nil
---@param labels string[]|nil
function M.gauge(name, doc, labels)
  return new(Gauge, "gauge", name, doc, labels)
end

---@param name string
---@param doc string|nil
---@param bounds number[]  upper bounds, rising
---@param labels string[]|nil
function M.histogram(name, doc, bounds, labels)
  return new(Histogram, "histogram", name, doc, labels, bounds)
end

return M

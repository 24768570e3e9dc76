local flow = require("spec.unit.core.flow.support")
local unit, ffi = flow.unit, flow.ffi
local C = unit.use("flow/hosts.h", "flow/plan.h", "base/regex.h", "base/pool.h")

local function site(...)
  return { names = { ... }, match = "nginx", fallback = 0, routes = { { match = "inner", pattern = "" } } }
end

--- The site (from 0) that takes each host; the first is the listener's default.
local function check(sites, expected)
  local all = {}
  for i = 1, #sites do
    all[i] = i - 1
  end
  local p = assert(flow.plan({ listens = { { address = "127.0.0.1:0", sites = all, default_site = 0 } }, sites = sites }))
  local pool = ffi.new("pool")
  C.pool_init(pool, 1024)
  for host, index in pairs(expected) do
    local match = ffi.new("struct host_match *[1]")
    local s = C.plan_site(p.listens[0], unit.str(host), pool, match)
    assert.equal(index, tonumber((ffi.cast("char *", s) - ffi.cast("char *", p.sites)) / ffi.sizeof("site")), host)
  end
  C.pool_fini(pool)
  C.plan_unref(p)
end

describe("flow/hosts", function()
  it("prefers the exact name, then wildcards by their length, then regexes in file order", function()
    check({
      site("default"), site("~^www\\."), site("www.*"), site("*.example.com"), site("*.www.example.com"), site("www.example.com"),
      site("~^WWW2"), site("www.example.*"),
    }, {
      ["www.example.com"] = 5, ["a.example.com"] = 3, ["a.www.example.com"] = 4, ["www.example.org"] = 7, ["www.org"] = 2,
      ["www2.org"] = 6, ["other"] = 0, ["example.com"] = 0,
    })
  end)

  it("takes a leading dot for the name and all below it", function()
    check({ site("x"), site(".example.com"), site("example.com") }, {
      ["example.com"] = 2, ["a.example.com"] = 1, ["a.b.example.com"] = 1, ["xexample.com"] = 0,
    })
  end)

  it("keeps a name with its first site", function()
    check({ site("x"), site("a", ""), site("a", "b") }, { a = 1, b = 2, [""] = 1 })
  end)
end)

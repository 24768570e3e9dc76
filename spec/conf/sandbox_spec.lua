--- A sealed file cannot run for ever, eat memory or reach outside.
local sandbox = require "conf.sandbox"
local conf = require "conf"

describe("a sealed file", function()
  local instructions, memory = sandbox.INSTRUCTIONS, sandbox.MEMORY_KB

  before_each(function()
    sandbox.INSTRUCTIONS, sandbox.MEMORY_KB = 1e6, 16 * 1024
  end)

  after_each(function()
    sandbox.INSTRUCTIONS, sandbox.MEMORY_KB = instructions, memory
    assert.is_nil((debug.gethook()))
  end)

  local function errors(text)
    local ok, _, diags = conf.load { path = "gw.lua", text = text }
    assert.is_false(ok)
    return conf.report(diags)
  end

  local function stops(text, line, why)
    local report = errors(text)
    assert.is_truthy(report:find(("gw.lua:%d:"):format(line), 1, true), report)
    assert.is_truthy(report:find("evaluation stopped: more than " .. why, 1, true), report)
  end

  it("is stopped in an endless loop", function()
    stops("local n = 0\nwhile true do n = n + 1 end", 2, "1 million instructions")
    stops("local function f()\n  return f()\nend\nf()", 2, "1 million instructions")
  end)

  it("cannot hide the stop in pcall", function()
    stops("while true do\n  pcall(function() while true do end end)\nend", 2, "1 million instructions")
  end)

  it("is stopped when it eats memory", function()
    stops("local t = {}\nfor i = 1, 1e9 do t[i] = ('x'):rep(1000) .. i end", 2, "16 MB of memory")
    assert.is_truthy(errors("local s = ('x'):rep(1e9)"):find("string.rep: the result is longer than 1 MB", 1, true))
    assert.is_truthy(errors("local s = string.rep('x', 1e9)"):find("string.rep: the result is longer than 1 MB", 1, true))
  end)

  it("leaves the JIT and the libraries as they were", function()
    local on, rep = jit.status(), string.rep
    errors("while true do end")
    assert.equal(on, (jit.status()))
    assert.equal(rep, string.rep)
  end)

  it("reaches nothing outside", function()
    for _, name in ipairs { "io", "os", "debug", "ffi", "jit", "require", "package", "loadstring", "load", "loadfile", "dofile", "setfenv",
      "getfenv", "getmetatable", "setmetatable", "rawset", "rawget", "collectgarbage", "coroutine", "print", "_G", "module", "newproxy" } do
      local report = errors("local x = " .. name .. "\nsite 'a' { proxy = '127.0.0.1:1' }")
      assert.is_truthy(report:find(("gw.lua:1:11: error: unknown name '%s'"):format(name), 1, true), report)
    end
  end)

  it("gets nothing random", function()
    assert.is_truthy(errors("local x = math.random()"):find("attempt to call field 'random'", 1, true))
  end)

  it("may misuse the marking function without effect", function()
    local ok = conf.load { path = "gw.lua", text = "__mark(99, {}) __mark(1, 5) __mark() site 'a' { proxy = '127.0.0.1:1' }" }
    assert.is_true(ok)
  end)
end)

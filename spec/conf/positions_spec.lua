--- Where keys, values and declarations stand, and that marking changes neither lines nor meaning.
local positions = require "conf.positions"
local lexer = require "conf.lexer"

local function run(src)
  local scan = positions.scan(src)
  local made = {}
  local f = assert(loadstring(scan.text))
  setfenv(f, setmetatable({
    [positions.MARK] = function(id, t)
      made[t] = scan.tables[id]
      return t
    end,
  }, { __index = _G }))
  return made, f()
end

describe("positions", function()
  it("finds keys, values and list items", function()
    local made, t = run('return {\n  read = "30s", [200] = 1,\n  ["x-y"] = { 7, 8 },\n}')
    local info = made[t]
    assert.same({ line = 2, col = 3, len = 4 }, info.keys.read)
    assert.same({ line = 2, col = 10, len = 5 }, info.values.read)
    assert.same({ line = 2, col = 25, len = 1 }, info.values[200])
    assert.same({ line = 3, col = 15, len = 1 }, made[t["x-y"]].keys[1])
    assert.same({ line = 3, col = 18, len = 1 }, made[t["x-y"]].keys[2])
  end)

  it("finds the word and the argument of a declaration", function()
    local made, _, t = run('local function route(_) return function(t) return t end end\nreturn 1, route "/x" { a = 1 }')
    assert.same({ line = 2, col = 11, len = 5 }, made[t].head)
    assert.same({ line = 2, col = 17, len = 4 }, made[t].arg)
  end)

  it("finds them when the argument is a table or an expression", function()
    local made, _, t = run('local function site(_) return function(t) return t end end\nreturn 1, site { "a", "b" } { c = 1 }')
    assert.same({ line = 2, col = 11, len = 4 }, made[t].head)
    made, _, t = run('local function site(_) return function(t) return t end end\nreturn 1, site("a" .. "b")\n{ c = 1 }')
    assert.same({ line = 2, col = 11, len = 4 }, made[t].head)
    assert.same({ line = 2, col = 16, len = 10 }, made[t].arg)
  end)

  it("leaves functions inside constructors alone", function()
    local scan = positions.scan('return { f = function(x) if x then return { 1 } end for i = 1, 2 do x = { i } end end, g = 2 }')
    assert.equal(1, #scan.tables)
    assert.is_truthy(scan.tables[1].keys.g)
  end)

  it("is not fooled by strings, comments and long brackets", function()
    local made, t = run('-- { a\n--[[ { ]] return { a = "}", b = [[\n}]], c = [==[ ]] ]==], d = \'{\' } -- }')
    assert.same({ line = 2, col = 20, len = 1 }, made[t].keys.a)
    assert.same({ line = 3, col = 6, len = 1 }, made[t].keys.c)
    assert.equal("}", t.b)
  end)

  it("reports keys written twice", function()
    local scan = positions.scan("return { a = 1,\n a = 2 }")
    assert.same({ { key = "a", at = { line = 2, col = 2, len = 1 }, first = 1 } }, scan.tables[1].twice)
  end)

  it("keeps every line in its place", function()
    local src = "local a = {\n}\n\nlocal f = print\nreturn {\n  a, { }, f {}\n}"
    local _, before = src:gsub("\n", "")
    local _, after = positions.scan(src).text:gsub("\n", "")
    assert.equal(before, after)
  end)

  it("leaves real programs compilable", function()
    for _, name in ipairs { "lua/conf/native.lua", "lua/conf/schema.lua", "lua/conf/positions.lua", "lua/conf/lexer.lua" } do
      local f = assert(io.open(name))
      local src = f:read("*a")
      f:close()
      assert.is_truthy(loadstring(positions.scan(src).text), name)
    end
  end)
end)

describe("the lexer", function()
  it("tells numbers, operators and strings apart", function()
    local texts = {}
    for i, token in ipairs(lexer.tokens("x=1e-3..0x1F ~= .5 ... 'a\\'b' a.b")) do
      texts[i] = token.text
    end
    assert.same({ "x", "=", "1e-3", "..", "0x1F", "~=", ".5", "...", "'a\\'b'", "a", ".", "b" }, texts)
  end)

  it("takes letters beyond ASCII for part of a name, as LuaJIT does", function()
    local made, t = run('local function total\227return(t) return t end\nreturn total\227return { a = 1 }')
    assert.same({ a = 1 }, t)
    assert.is_nil(made.none)
  end)

  it("survives what does not end", function()
    for _, src in ipairs { "x = 'abc", "x = [[abc", "--[[ abc", "{ a = {", "{ [", "f{", "}", "function" } do
      assert.is_table(positions.scan(src))
    end
  end)
end)

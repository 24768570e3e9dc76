--- The subcommands written in Lua: statuses and texts.
local cli = require "cli"

local function write(text)
  local path = os.tmpname()
  os.remove(path)
  path = path .. ".lua"
  local f = assert(io.open(path, "w"))
  f:write(text)
  f:close()
  finally(function()
    os.remove(path)
  end)
  return path
end

describe("moongate check", function()
  it("says ok and counts", function()
    local path = write('site "a" { listen = "127.0.0.1:80", proxy = "127.0.0.1:1" }')
    assert.same({ 0, path .. ": ok: 1 listener, 1 site, 1 route, 1 upstream\n", "" }, { cli.run { "check", path } })
  end)

  it("fails with the report on standard error", function()
    local status, out, err = cli.run { "check", write('site "a" { proxi = 1 }') }
    assert.same({ 1, "" }, { status, out })
    assert.is_truthy(err:find("unknown option 'proxi'; did you mean 'proxy'?", 1, true))
    assert.is_truthy(err:find("\n1 error, configuration rejected\n$"))
  end)

  it("speaks JSON", function()
    local status, out = cli.run { "check", "--json", write('site "a" { proxi = 1 }') }
    local data = require("cjson").decode(out)
    assert.same({ 1, false, 1, 12, "error" },
      { status, data.ok, data.diagnostics[1].line, data.diagnostics[1].column, data.diagnostics[1].level })
    status, out = cli.run { "check", "--json", write('site "a" { proxy = "127.0.0.1:1" }') }
    assert.same({ 0, true, {} }, { status, require("cjson").decode(out).ok, require("cjson").decode(out).diagnostics })
  end)

  it("explains its use", function()
    assert.equal(2, (cli.run { "check" }))
    assert.equal(2, (cli.run { "check", "--what", "x" }))
  end)
end)

describe("moongate export", function()
  it("prints the model without private keys", function()
    local status, out = cli.run { "export", "--json", write('site "a" { proxy = "127.0.0.1:1", body_limit = "1m" }') }
    assert.equal(0, status)
    assert.equal(1048576, require("cjson").decode(out).sites[1].routes[1].body_limit)
  end)
end)

describe("moongate schema", function()
  it("prints JSON Schema", function()
    local _, out = cli.run { "schema", "--json" }
    local data = require("cjson").decode(out)
    assert.equal("object", data["$defs"].route.properties.timeouts.type)
    assert.is_nil(data["$defs"].route.properties.cache)
  end)

  it("prints stubs that are Lua", function()
    local _, out = cli.run { "schema", "--stubs" }
    assert.is_function(loadstring(out))
    assert.is_truthy(out:find("---@field connect? string until the upstream accepts a connection", 1, true))
  end)

  it("prints the tables of docs/config.md", function()
    local _, out = cli.run { "schema", "--markdown" }
    local f = assert(io.open("docs/config.md"))
    local page = f:read("*a")
    f:close()
    assert.is_truthy(page:find(out, 1, true), "run: moongate schema --markdown, and put its output into docs/config.md")
  end)

  it("prints docs/nginx-directives.md", function()
    local _, out = cli.run { "schema", "--nginx" }
    local f = assert(io.open("docs/nginx-directives.md"))
    local page = f:read("*a")
    f:close()
    assert.is_true(page == out, "run: make docs")
  end)
end)

describe("moongate", function()
  it("suggests a command", function()
    local status, _, err = cli.run { "chekc" }
    assert.equal(2, status)
    assert.is_truthy(err:find("did you mean 'check'?", 1, true))
  end)

  it("helps", function()
    local status, out = cli.run { "help" }
    assert.equal(0, status)
    assert.is_truthy(out:find("moongate run", 1, true))
  end)
end)

--- `moongate import`: the native form of spec/nginx/import/NAME.conf is spec/nginx/import/NAME.golden, and loads.
--- MOONGATE_GOLDEN=write rewrites the golden files; read the difference before committing it.
local gateway = require("spec.support.gateway")
local golden = require("spec.support.golden")
local import = require("cli.import")
local tmp = require("spec.support.tmp")

describe("moongate import", function()
  for _, path in ipairs(golden.files "spec/nginx/import/*.conf") do
    it("prints " .. path .. " in the native form", function()
      local status, out, err = import.main { path }
      assert.equal("", err)
      assert.equal(0, status)
      golden.compare(path:gsub("%.conf$", ".golden"), out)
    end)

    it("prints a configuration that loads, for " .. path, function()
      local _, out = import.main { path }
      local file = tmp.write(tmp.dir(), "gateway.lua", out:gsub('tls = "[^"]*",', 'listen = ":8443",')) -- without certificates
      local check = assert(io.popen(("%s check %s 2>&1"):format(gateway.binary(), file)))
      local said = check:read("*a")
      check:close()
      assert.is_truthy(said:find(": ok: ", 1, true), said)
    end)
  end

  it("takes a file without http", function()
    local status, out, err = import.main { tmp.write(tmp.dir(), "nginx.conf", "events {}\nworker_processes 2;\n") }
    assert.same({ 0, "" }, { status, err })
    assert.is_truthy(out:find("workers = 2", 1, true))
  end)

  it("says what it wants", function()
    assert.equal(2, (import.main {}))
    local status, _, err = import.main { "gateway.lua" }
    assert.equal(2, status)
    assert.is_truthy(err:find("does not end in .conf", 1, true))
  end)
end)

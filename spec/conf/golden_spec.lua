--- Text in, model or diagnostics out. `good/NAME.lua` has its model in `good/NAME.golden`, `bad/NAME.lua` its report in `bad/NAME.golden`.
--- MOONGATE_GOLDEN=write rewrites them; read the difference before committing it.
local conf = require "conf"
local fields = require "spec.conf.fields"
local golden = require "spec.support.golden"

--- A policy for configurations that attach one.
local t = require "moongate.schema"
local policies = {
  limit = {
    name = "limit", on_error = "continue",
    options = t.record { rate = t.rate(), to = t.upstream():optional(), burst = t.integer(0):optional() },
    new = function()
      return { access = function() end, log = function() end }
    end,
  },
  broken = {
    name = "broken", options = t.record {},
    new = function()
      error("no luck", 0) -- no line of this file in the report
    end,
  },
}

local function load(path)
  return conf.load {
    path = path, ipv6 = true,
    env = function(name)
      return ({ UPSTREAM = "127.0.0.1:7000" })[name]
    end,
    user = function()
      return "nobody"
    end,
    policies = function(name)
      return policies[name], not policies[name] and ("there is no policy '%s'"):format(name) or nil
    end,
  }
end

describe("the model of", function()
  for _, path in ipairs(golden.files "spec/conf/good/*.lua") do
    it(path, function()
      local ok, model, diags = load(path)
      assert.equal("", conf.report(diags))
      assert.is_true(ok)
      assert.same({}, fields.problems(model.gateway))
      golden.compare(path:gsub("%.lua$", ".golden"), fields.dump(model.gateway))
    end)
  end
end)

describe("the report on", function()
  for _, path in ipairs(golden.files "spec/conf/bad/*.lua") do
    it(path, function()
      local ok, model, diags = load(path)
      assert.is_false(ok)
      assert.is_nil(model)
      golden.compare(path:gsub("%.lua$", ".golden"), conf.report(diags) .. "\n")
    end)
  end
end)

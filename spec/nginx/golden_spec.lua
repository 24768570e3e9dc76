--- nginx syntax in, model or diagnostics out. `good/NAME.conf` has its model in `good/NAME.golden`, `bad/NAME.conf` its report in
--- `bad/NAME.golden`. MOONGATE_GOLDEN=write rewrites them; read the difference before committing it.
local conf = require "conf"
local fields = require "spec.conf.fields"
local golden = require "spec.support.golden"

--- Fields of routes that tell how they are found; what they do is the matter of the specs of each topic.
local shape = {
  action = true, match = true, pattern = true, no_regex = true, parent = true, caseless = true, label = true, order = true, upstream = true,
  slash_redirect = true, except = true, except_methods = true,
}

local function dump(model)
  local lines = {}
  for line in fields.dump(model):gmatch("[^\n]+") do
    local name = line:match("routes%[%d+%]%.([%w_]+)")
    if line:find("^[lsu]") and (not name or shape[name]) then -- listens, sites, upstreams
      lines[#lines + 1] = line
    end
  end
  return table.concat(lines, "\n") .. "\n"
end

describe("the model of", function()
  for _, path in ipairs(golden.files "spec/nginx/good/*.conf") do
    it(path, function()
      local ok, model, diags = conf.load { path = path }
      local wrong = {}
      for _, d in ipairs(diags) do
        wrong[#wrong + 1] = d.level ~= "note" and conf.format(d) or nil
      end
      assert.same({}, wrong)
      assert.is_true(ok)
      assert.same({}, fields.problems(model.gateway))
      golden.compare(path:gsub("%.conf$", ".golden"), dump(model.gateway))
    end)
  end
end)

describe("the report on", function()
  for _, path in ipairs(golden.files "spec/nginx/bad/*.conf") do
    it(path, function()
      local ok, model, diags = conf.load { path = path }
      assert.is_false(ok)
      assert.is_nil(model)
      golden.compare(path:gsub("%.conf$", ".golden"), conf.report(diags) .. "\n")
    end)
  end
end)

describe("a file of something else", function()
  it("is refused at once, and not every word is compared with all directives", function()
    local lines = {}
    for i = 1, 3000 do
      lines[i] = ("wroker_processes%d on;"):format(i)
    end
    local began = os.clock()
    local ok, _, diags = conf.load { path = "wrong.conf", text = table.concat(lines, "\n") .. "\nevents {}\n" }
    assert.is_false(ok)
    assert.equal(3000, #diags)
    local hints = 0
    for _, d in ipairs(diags) do
      hints = hints + (d.hint and 1 or 0)
    end
    assert.equal(20, hints)
    assert.is_true(os.clock() - began < 5)
  end)
end)

--- Broken files of both dialects, each with one mistake: what `moongate check` says of `broken/NAME` is `broken/NAME.golden`.
--- MOONGATE_GOLDEN=write rewrites them; read the difference before committing it. Names that begin with warn_ run, with a warning.
local gateway = require("spec.support.gateway")
local golden = require("spec.support.golden")
local run = require("spec.support.run")
local unistd = require("posix.unistd")

local folder = "spec/conf/broken/"

--- The reports in the order of the files: each ends with the line that counts.
local function split(text)
  local reports, lines = {}, {}
  for line in text:gmatch("[^\n]*\n") do
    lines[#lines + 1] = line
    if line:find("^%d+ error") or line:find("^%d+ warning") then
      reports[#reports + 1] = table.concat(lines)
      lines = {}
    end
  end
  return reports
end

--- Without what differs from machine to machine.
local function plain(text)
  text = text:gsub("%(valid: [^)]*%)", "(valid: …)") -- every new option stands there
  return (text:gsub("as user [%w-]+", "as user USER"):gsub(unistd.getcwd():gsub("%p", "%%%0") .. "/", ""))
end

describe("of the broken files,", function()
  local list, reports, process = golden.files("spec/conf/broken/*.lua spec/conf/broken/*.conf"), nil, nil

  setup(run.setup(function()
    process = gateway.exec(nil, { args = { "check", unpack(list) }, seconds = 60 })
    reports = split(plain(process:stderr()))
  end))
  teardown(run.teardown)

  it("each has its report, at least fifty", function()
    assert.equal(1, process.status)
    assert.equal(#list, #reports)
    assert.is_true(#list >= 50)
  end)

  for i, path in ipairs(list) do
    it(path:sub(#folder + 1) .. " is told with place and reason", function()
      golden.compare(path .. ".golden", reports[i])
      assert.is_truthy(reports[i]:find("^%.?/?[%w_/]+%.%a+:%d+:%d+: "), "a message without a place")
      assert.equal(path:find("warn_", 1, true) == nil, reports[i]:find("configuration rejected", 1, true) ~= nil)
    end)
  end
end)

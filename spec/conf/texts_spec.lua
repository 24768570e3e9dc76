--- Templates and regular expressions are the core's business; a configuration with a bad one is still refused with its place, by
--- `check` as by `run`, and together with all other errors.
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")

local config = [[
site "*" {
  listen = "127.0.0.1:0",
  headers = { set = { ["X-A"] = "${oops" } },
  log = { access = { path = "-", format = "$status $nope" } },
  route "~ ^/(" { reply = {} },
  route "/when" { when = { header = { ["X-A"] = "~ [" } }, reply = { body = "costs $$ 5" } },
  route "/away" { redirect = "https://$hst/" },
}
]]

describe("a bad text in a configuration", function()
  for _, command in ipairs { "check", "run" } do
    it("is refused with its place by " .. command, run(function()
      local gw = gateway.exec(config, { args = { command, "{conf}" } })
      assert.equal(1, gw.status)
      local text = gw:stderr()
      for _, expected in ipairs {
        "gateway%.lua:3:23: error: the closing brace is missing", "gateway%.lua:4:34: error: unknown variable %$nope",
        "gateway%.lua:5:9: error: bad regular expression", "gateway%.lua:6:39: error: bad regular expression",
        "gateway%.lua:7:19: error: unknown variable %$hst", "configuration rejected",
      } do
        assert.is_truthy(text:find(expected), expected .. " is not in\n" .. text)
      end
    end))
  end

  it("is not one that names a segment of its route", run(function()
    local good = gateway.exec([[
      site "*" {
        listen = "127.0.0.1:0",
        route "/u/:id" { reply = { body = "$id ${id}" }, request_headers = { set = { ["X-Id"] = "$id" } } },
        route "/u/:name/*" { redirect = "/users/$name" },
      }
    ]], { args = { "check", "{conf}" } })
    assert.equal(0, good.status, good:stderr())
    local bad = gateway.exec('site "*" { route "/u/:id" { reply = { body = "$idd" } }, route "/x" { redirect = "/$id" } }',
      { args = { "check", "{conf}" } })
    assert.is_truthy(bad:stderr():find("unknown variable %$idd") and bad:stderr():find("unknown variable %$id at"), bad:stderr())
  end))
end)

--- Spellings of a path that a guarded route must not miss, because what is behind reads them as that path.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.wire.start")

describe("a guarded path", function()
  local o, gw

  setup(run.setup(function()
    o = origin.start()
    gw = start.proxy(o.port, [[ route "/admin/*" { reply = { status = 403 } }, ]])
  end))
  teardown(run.teardown)

  for _, target in ipairs({ "/admin", "/admin/", "/%61dmin/x", "/%61%64%6d%69%6e", "//admin/x", "/./admin/x", "/public/../admin/x",
    "/public/%2e%2e/admin/x", "/public/%2E./admin", "/public/..%2fadmin/x", "/public%2f..%2Fadmin", "/x/../../admin/..//admin/x",
    "/public/..//admin/", "/admin/%2e/", "/admin/..%2fadmin/x", "/%2fadmin/x", "/admin/x?y=/../../public", "/admin%2fx",
    "http://other/admin/x", "http://other//admin/x" }) do
    it("is not missed as " .. target, run(function()
      o:clear()
      local c = client.connect(gw.port)
      c:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      local status = c:response().status
      assert.is_true(status == 403 or status == 400, target .. " gave " .. status)
      assert.equal(0, #o.requests)
    end))
  end

  for _, target in ipairs({ "/x%00", "/admin%00.png", "/%", "/%4", "/%zz", "/..", "/../admin", "/x/../../admin", "/%2e%2e/admin",
    "/a\127b" }) do
    it("cannot be asked for as " .. (target:gsub("\127", "DEL")), run(function()
      o:clear()
      local c = client.connect(gw.port)
      c:send("GET " .. target .. " HTTP/1.1\r\nHost: a\r\n\r\n")
      assert.equal(400, c:response().status)
      assert.equal(0, #o.requests)
    end))
  end
end)

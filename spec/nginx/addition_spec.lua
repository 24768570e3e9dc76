--- add_before_body and add_after_body in nginx syntax.
local client = require("spec.support.client")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")

describe("add_before_body and add_after_body", function()
  local gate, gw

  setup(run.setup(function()
    gate = origin.gate()
    local o = origin.start(function(req, res)
      if req.path == "/slow" then
        res:wait(gate)
      end
      res:send(200, { ["Content-Type"] = "text/html", ETag = '"e"' }, req.path == "/big" and ("x"):rep(300000) or "up")
    end)
    gw = start(([[
      default_type text/html;
      server { listen 127.0.0.1:0; add_before_body /before; add_after_body /after;
        location / { return 200 body; }
        location /up/ { proxy_pass http://127.0.0.1:%d/; }
        location /big { add_before_body /up/big; add_after_body /up/big; return 200 "|"; }
        location /slow { add_before_body /up/slow; add_after_body ""; return 200 body; }
        location /gone { add_before_body /nowhere/; add_after_body /self; return 200 body; }
        location = /self { add_before_body ""; add_after_body /self; return 200 self; }
        location /made { return 201 body; }
        location /text { default_type text/plain; return 200 body; }
        location /any { default_type text/plain; addition_types *; return 200 body; }
        location = /before { return 200 "<"; }
        location = /after { return 200 ">"; }
        location /nowhere/ { return 404 none; } }
    ]]):format(o.port))
  end))
  teardown(run.teardown)

  it("put other answers around one", run(function()
    assert.equal("<body>", client.get(gw.port, "/").body)
    local res = client.get(gw.port, "/up/x")
    assert.equal("<up>", res.body)
    assert.is_nil(res.headers:get("ETag"))
    assert.equal("nonebodyself", client.get(gw.port, "/gone").body)
    assert.equal("selfself", client.get(gw.port, "/self").body)
    assert.is_nil(client.call(gw.port, "HEAD", "/").headers:get("Content-Length"))
  end))

  it("are for usual answers of their types", run(function()
    assert.equal("body", client.get(gw.port, "/made").body)
    assert.equal("body", client.get(gw.port, "/text").body)
    assert.equal("<body>", client.get(gw.port, "/any").body)
  end))

  it("wait for what they add, and are bounded", run(function()
    assert.is_true(client.get(gw.port, "/big").body == ("x"):rep(300000) .. "|" .. ("x"):rep(300000))
    local c = client.connect(gw.port)
    c:request("GET", "/slow")
    gate:open()
    assert.equal("upbody", c:response().body)
  end))
end)

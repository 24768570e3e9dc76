--- secure_link and its kin in nginx syntax.
local client = require("spec.support.client")
local gateway = require("spec.support.gateway")
local run = require("spec.support.run")
local start = require("spec.nginx.start")

local function md5(text, format)
  local pipe = io.popen(("printf %%s '%s' | openssl md5 -binary | %s"):format(text, format))
  local out = pipe:read("*a")
  pipe:close()
  return (out:gsub("%s", ""))
end

local function signed(text)
  return (md5(text, "openssl base64"):gsub("%+", "-"):gsub("/", "_"))
end

describe("secure_link", function()
  local gw

  setup(run.setup(function()
    gw = start([[
      server { listen 127.0.0.1:0;
        location / { secure_link $arg_h,$arg_t; secure_link_md5 "key$uri$arg_t"; return 200 "[$secure_link] $secure_link_expires";
          location /plain { secure_link $arg_h; return 200 "[$secure_link]"; }
          location /old/ { secure_link_secret key; return 200 "[$secure_link]";
            location /old/in/ { return 200 "in [$secure_link]"; } } }
        location /none { return 200 "[$secure_link$secure_link_expires]"; } }
    ]])
  end))
  teardown(run.teardown)

  local function get(path)
    return client.get(gw.port, path).body
  end

  it("knows who has the secret, and until when", run(function()
    local later, before = os.time() + 600, os.time() - 600
    assert.equal("[1] " .. later, get(("/x?h=%s&t=%d"):format(signed("key/x" .. later), later)))
    assert.equal("[1] " .. later, get(("/x?h=%s&t=%d"):format(signed("key/x" .. later):gsub("=", ""), later)))
    assert.equal("[0] " .. before, get(("/x?h=%s&t=%d"):format(signed("key/x" .. before), before)))
    assert.equal("[] " .. later, get(("/y?h=%s&t=%d"):format(signed("key/x" .. later), later)))
    assert.equal("[] 0", get(("/x?h=%s&t=0"):format(signed("key/x0"))))
    assert.equal("[] x", get(("/x?h=%s&t=x"):format(signed("key/xx"))))
    assert.equal("[1]", get(("/plain?h=%s"):format(signed("key/plain"))))
    for _, wrong in ipairs { "", "AAAA", ("A"):rep(22), ("A"):rep(25), "*" } do
      assert.equal("[]", get("/plain?h=" .. wrong))
    end
    assert.equal("[]", get("/none"))
  end))

  it("reads the older form from the path", run(function()
    local hash = md5("a/b?ckey", "od -An -tx1 -v")
    assert.equal("[a/b?c]", get("/old/" .. hash .. "/a/b?c"))
    assert.equal("in []", get("/old/in/" .. hash .. "/a/b?c"))
    assert.equal("[]", get("/old/" .. hash:gsub("^.", "g") .. "/a/b?c"))
    assert.equal("[]", get("/old/" .. hash))
    assert.equal("[]", get("/old/"))
  end))

  it("has one form at a time", run(function()
    local done = gateway.exec("events {}\nhttp { server { listen 127.0.0.1:0; location / { secure_link_secret a; secure_link b; } } }\n",
      { name = "nginx.conf", args = { "-t", "-c", "{conf}", "-e", "stderr" } })
    assert.equal(1, done.status)
    assert.matches("cannot be mixed", done:stderr(), 1, true)
  end))
end)

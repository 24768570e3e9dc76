--- ssl_stapling and its kin in nginx syntax, with an origin as the OCSP responder.
local dns = require("spec.support.dns")
local gateway = require("spec.support.gateway")
local origin = require("spec.support.origin")
local run = require("spec.support.run")
local start = require("spec.nginx.start")
local tmp = require("spec.support.tmp")
local wait = require("spec.support.wait")

local function sh(dir, command)
  local pipe = io.popen(("cd '%s' && { %s; } 2>&1"):format(dir, command))
  local text = pipe:read("*a")
  assert(pipe:close(), text)
  return text
end

--- An authority, a certificate of its that names `url` as responder, and what that says: good or revoked.
local function authority(url)
  local dir = tmp.dir()
  sh(dir, [[openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem -subj /CN=ca
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out a.csr -subj /CN=a.example]])
  tmp.write(dir, "ext", "authorityInfoAccess=OCSP;URI:" .. url .. "\n")
  sh(dir, "openssl x509 -req -in a.csr -CA ca.pem -CAkey ca.key -set_serial 0x1000 -days 9 -extfile ext -out leaf.pem")
  sh(dir, "cat leaf.pem ca.pem > chain.pem; openssl ocsp -issuer ca.pem -cert leaf.pem -no_nonce -reqout q.der")
  sh(dir, "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout b.key -out b.pem -subj /CN=b")
  for name, line in pairs { good = "V\t400101000000Z\t\t", revoked = "R\t400101000000Z\t250101000000Z\t" } do
    tmp.write(dir, "index", line .. "1000\tunknown\t/CN=a.example\n")
    sh(dir, ("openssl ocsp -index index -CA ca.pem -rsigner ca.pem -rkey ca.key -reqin q.der -respout %s.der -ndays 1"):format(name))
    sh(dir, ("openssl ocsp -index index -CA ca.pem -rsigner b.pem -rkey b.key -reqin q.der -respout strange-%s.der -ndays 1")
      :format(name))
  end
  return dir
end

local function status(port)
  local text = sh("/", ("openssl s_client -connect 127.0.0.1:%d -servername a.example -status </dev/null || true"):format(port))
  return text:match("Cert Status: (%w+)") or text:match("OCSP response: (no response sent)") or text
end

local function responder(name)
  local dir
  local o = origin.start(function(_, res)
    res:send(200, { ["Content-Type"] = "application/ocsp-response" }, tmp.read(dir .. "/" .. name .. ".der"))
  end)
  return o, function(url)
    dir = authority((url or "http://127.0.0.1:%d/at"):format(o.port))
    return dir
  end
end

local function gate(dir, more)
  return start(([[server { listen 127.0.0.1:0 ssl; ssl_certificate %s/chain.pem; ssl_certificate_key %s/key.pem; ssl_stapling on; %s }]])
    :format(dir, dir, more or ""))
end

describe("ssl_stapling", function()
  it("asks the responder that the certificate names, once", run(function()
    local o, make = responder("good")
    local dir = make()
    local gw = gate(dir)
    status(gw.port)
    wait.till(function()
      return status(gw.port) == "good"
    end, "a response to be stapled")
    assert.equal("good", status(gw.port))
    assert.equal(1, #o.requests)
    assert.equal("GET", o.requests[1].method)
    assert.matches("^/at/%w", o.requests[1].target)
    assert.is_nil(o.requests[1].target:find("[+=]"))
  end))

  it("asks another one, whose name DNS knows", run(function()
    local o, make = responder("good")
    local names = dns.start({ ["ocsp.test"] = { "127.0.0.1" } })
    local dir = make("http://127.0.0.1:1/")
    local gw = gate(dir, ("resolver 127.0.0.1:%d; ssl_stapling_responder http://ocsp.test:%d;"):format(names.port, o.port))
    wait.till(function()
      return status(gw.port) == "good"
    end, "a response to be stapled")
  end))

  it("sends nothing that is not good, or not trusted when it must be", run(function()
    local _, make = responder("revoked")
    local gw = gate(make())
    status(gw.port)
    gw:wait_log("for stapling: revoked")
    assert.equal("no response sent", status(gw.port))
    local _, again = responder("strange-good")
    gw = gate(again(), "ssl_stapling_verify on;")
    status(gw.port)
    gw:wait_log("for stapling: its signature does not verify")
    assert.equal("no response sent", status(gw.port))
  end))

  it("finds the issuer among the authorities too", run(function()
    local _, make = responder("good")
    local dir = make()
    sh(dir, "cp leaf.pem chain.pem")
    local gw = gate(dir, ("ssl_stapling_verify on; ssl_trusted_certificate %s/ca.pem;"):format(dir))
    wait.till(function()
      return status(gw.port) == "good"
    end, "a response to be stapled")
  end))

  it("survives a responder that talks nonsense, or too much", run(function()
    local answers = { "nonsense", ("x"):rep(100000) }
    local o = origin.start(function(req, res)
      res:send(req.target:find("^/404") and 404 or 200, {}, req.target:find("^/long") and answers[2] or answers[1])
    end)
    for path, why in pairs { ["/a"] = "it is no OCSP response", ["/long"] = "a limit was reached", ["/404"] = "an unexpected status" } do
      local gw = gate(authority(("http://127.0.0.1:%d%s"):format(o.port, path)))
      assert.equal("no response sent", status(gw.port))
      gw:wait_log("for stapling: " .. why)
      gw:stop()
    end
  end))

  it("may be a file, whatever it says", run(function()
    local dir = authority("http://127.0.0.1:1/")
    assert.equal("revoked", status(gate(dir, ("ssl_stapling_file %s/revoked.der;"):format(dir)).port))
    local done = gateway.exec("events {}\nhttp { server { listen 127.0.0.1:0; ssl_stapling_responder https://a/; } }\n",
      { name = "nginx.conf", args = { "-t", "-c", "{conf}", "-e", "stderr" } })
    assert.equal(1, done.status)
    assert.matches("invalid URL prefix in OCSP responder", done:stderr(), 1, true)
  end))
end)

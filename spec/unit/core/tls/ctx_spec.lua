local tls = require("spec.unit.core.tls.support")
local ffi, C, E = tls.ffi, tls.C, tls.E

local function check(pem)
  local not_after = ffi.new("int64_t[1]")
  return C.tls_cert_check(tls.cert_args(pem), tls.err, 256, not_after), tonumber(not_after[0])
end

local function server_fails(options)
  local args = ffi.new("struct tls_server_args", options)
  local t = C.tls_server_new(args, tls.err, 256)
  assert.is_true(t == nil)
  return tls.error_text()
end

--- The subject's common name of the certificate a client is shown: verified against that one certificate.
local function shown(server, name, pems, client_options)
  for label, pem in pairs(pems) do
    local options = { verify = true, ca_pem = tls.str(pem.cert) }
    for k, v in pairs(client_options or {}) do
      options[k] = v
    end
    local client = tls.client(options)
    local s, c = tls.streams()
    assert.equal(0, C.stream_tls_server(s, server))
    local _ = C.stream_tls_client(c, client, tls.str(name), nil)
    local _, cr = tls.shake(s, c)
    tls.close({ s = s, c = c })
    C.tls_client_unref(client)
    if cr == 0 then
      return label
    end
  end
  return nil
end

describe("tls/ctx certificates", function()
  it("accepts a pair that belongs together and tells when it ends", function()
    local r, ends = check(tls.pem("a.test"))
    assert.equal(0, r)
    assert.is_true(math.abs(ends - os.time() - 30 * 86400) < 7200)
    assert.equal(0, (check(tls.pem("a.test", "rsa"))))
  end)

  it("refuses a key of another certificate and junk", function()
    local a, b = tls.pem("a.test"), tls.pem("b.test")
    assert.equal(E.ERR_CONF, (check({ cert = a.cert, key = b.key })))
    assert.truthy(tls.error_text():find("does not belong"))
    assert.equal(E.ERR_CONF, (check({ cert = "junk", key = a.key })))
    assert.truthy(tls.error_text():find("certificate"))
    assert.equal(E.ERR_CONF, (check({ cert = a.cert, key = "junk" })))
    assert.truthy(tls.error_text():find("key"))
    assert.equal(E.ERR_CONF, (check({ cert = "", key = "" })))
  end)

  it("refuses an encrypted key instead of asking for a passphrase", function()
    local pem = tls.pem("a.test", "rsa")
    os.execute(("openssl rsa -aes256 -passout pass:x -in %s/k -out %s/locked 2>/dev/null"):format(pem.dir, pem.dir))
    local f = assert(io.open(pem.dir .. "/locked"))
    local locked = f:read("*a")
    f:close()
    assert.equal(E.ERR_CONF, (check({ cert = pem.cert, key = locked })))
  end)

  it("knows which hosts a certificate covers", function()
    local args = tls.cert_args(tls.pem("a.test,*.b.test"))
    for host, covered in pairs({ ["a.test"] = true, ["x.b.test"] = true, ["b.test"] = false, ["x.y.b.test"] = false, [""] = false }) do
      assert.equal(covered, C.tls_cert_covers(args, tls.str(host)), host)
    end
  end)
end)

describe("tls/ctx settings", function()
  it("explains what it refuses", function()
    assert.truthy(server_fails({ protocols = tls.keep("TLSv9") }):find("TLSv9", 1, true))
    assert.truthy(server_fails({ protocols = tls.keep("SSLv3") }):find("no usable"))
    assert.truthy(server_fails({ ciphers = tls.keep("NO-SUCH") }):find("cipher"))
    assert.truthy(server_fails({ groups = tls.keep("no-such") }):find("groups"))
    assert.truthy(server_fails({ verify_client = 2 }):find("CA"))
  end)

  it("leaves out a version between two named ones", function()
    local pem = tls.pem("a.test")
    local server = tls.server({ protocols = tls.keep("TLSv1.1 TLSv1.3") }, pem, "a.test")
    local client = tls.client({ protocols = tls.keep("TLSv1.2") })
    local p = tls.connect(server, client, "a.test")
    assert.is_true(p.cr < 0)
    tls.close(p)
    C.tls_server_unref(server)
    C.tls_client_unref(client)
  end)

  it("uses the cipher it was told for TLS 1.2", function()
    local pem = tls.pem("a.test")
    local server = tls.server({ protocols = tls.keep("TLSv1.2"), ciphers = tls.keep("ECDHE-ECDSA-AES256-GCM-SHA384") }, pem, "a.test")
    local client = tls.client({})
    local p = tls.connect(server, client, "a.test")
    assert.equal("ECDHE-ECDSA-AES256-GCM-SHA384", tls.facts(p.c).cipher)
    tls.close(p)
    C.tls_server_unref(server)
    C.tls_client_unref(client)
  end)
end)

describe("tls/ctx names", function()
  local pems = {
    first = tls.pem("first.test,unknown.test"), second = tls.pem("second.test"),
    wild = tls.pem("*.wild.test,a.b.wild.test"), exact = tls.pem("exact.wild.test"),
  }
  local server = tls.server({ tickets = true }, pems.first, "first.test")
  assert(tls.add(server, pems.second, "second.test") == 0)
  assert(tls.add(server, pems.wild, "*.wild.test") == 0)
  assert(tls.add(server, pems.exact, "Exact.Wild.Test") == 0)

  it("chooses by exact name, then by the longest wildcard, then the first added", function()
    assert.equal("first", shown(server, "first.test", pems))
    assert.equal("second", shown(server, "second.test", pems))
    assert.equal("second", shown(server, "SECOND.test", pems))
    assert.equal("wild", shown(server, "x.wild.test", pems))
    assert.equal("wild", shown(server, "a.b.wild.test", pems))
    assert.equal("exact", shown(server, "exact.wild.test", pems))
    assert.equal("first", shown(server, "unknown.test", pems))
  end)

  it("refuses unknown names when told to, and serves clients that send none", function()
    C.tls_server_reject_unknown(server, true)
    local blind = tls.client({})
    local p = tls.connect(server, blind, "nobody.test")
    assert.equal(E.ERR_TLS, p.sr)
    assert.equal("unknown server name", tls.why(p.s))
    assert.truthy(tls.why(p.c):find("unrecognized name"))
    tls.close(p)
    p = tls.connect(server, blind, "")
    assert.same({ 0, 0 }, { p.sr, p.cr })
    tls.close(p)
    C.tls_server_reject_unknown(server, false)
    C.tls_client_unref(blind)
  end)

  it("does not resume a session under another name", function()
    local client = tls.client({})
    local slot = ffi.new("void *[1]")
    local function once(name)
      local p = tls.connect(server, client, name, slot)
      assert.same({ 0, 0 }, { p.sr, p.cr })
      assert.equal(0, C.stream_send(p.s, tls.str("x")))
      tls.read(p.c, 1)
      local resumed = tls.facts(p.s).resumed
      tls.close(p)
      return resumed
    end
    assert.is_false(once("first.test"))
    assert.is_true(once("first.test"))
    assert.is_false(once("second.test"))
    assert.is_true(once("second.test"))
    C.stream_tls_session_free(slot[0])
    C.tls_client_unref(client)
  end)

  it("serves RSA and ECDSA certificates of one name by what the client can", function()
    for _, default in ipairs({ true, false }) do
      local both = { rsa = tls.pem("both.test", "rsa"), ec = tls.pem("both.test") }
      local t = tls.server({}, not default and pems.first or nil, "first.test")
      assert.equal(0, tls.add(t, both.rsa, "both.test"))
      assert.equal(0, tls.add(t, both.ec, "both.test"))
      for kind, cipher in pairs({ rsa = "ECDHE-RSA-AES128-GCM-SHA256", ec = "ECDHE-ECDSA-AES128-GCM-SHA256" }) do
        local only = { protocols = tls.keep("TLSv1.2"), ciphers = tls.keep(cipher) }
        assert.equal(kind, shown(t, "both.test", both, only))
      end
      C.tls_server_unref(t)
    end
  end)

  it("lives as long as somebody refers to it", function()
    local t = tls.server({}, pems.first, "first.test")
    local client = tls.client({})
    local s, c = tls.streams()
    assert.equal(0, C.stream_tls_server(s, t))
    C.tls_server_unref(t) -- a reload: the stream keeps the old settings
    assert.equal(0, C.stream_tls_client(c, client, tls.str("first.test"), nil))
    C.tls_client_unref(client)
    assert.same({ 0, 0 }, { tls.shake(s, c) })
    tls.close({ s = s, c = c })
  end)
end)

describe("tls/ctx time", function()
  it("refuses a certificate that has expired", function()
    local pem = tls.pem("a.test")
    assert.equal(0, (check(pem)))
    C.clock_freeze(1000, (os.time() + 31 * 86400) * 1000) -- for good: the last spec of this file
    assert.equal(E.ERR_CONF, (check(pem)))
    assert.truthy(tls.error_text():find("expired"))
  end)
end)

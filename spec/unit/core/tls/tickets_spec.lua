local tls = require("spec.unit.core.tls.support")
local ffi, C = tls.ffi, tls.C

local pem = tls.pem("localhost")

local function block()
  return tls.keep(ffi.new("uint64_t[?]", C.TLS_TICKETS_SIZE / 8))
end

--- One connection with the slot's session: was it resumed?
local function resume(server, client, slot)
  local p = tls.connect(server, client, "localhost", slot)
  assert.same({ 0, 0 }, { p.sr, p.cr })
  assert.equal(0, C.stream_send(p.s, tls.str("x")))
  tls.read(p.c, 1)
  local resumed = tls.facts(p.s).resumed
  tls.close(p)
  return resumed
end

describe("tls/tickets", function()
  for _, version in ipairs({ "TLSv1.2", "TLSv1.3" }) do
    describe(version, function()
      local server, client, slot

      before_each(function()
        server = tls.server({ tickets = true }, pem)
        client = tls.client({ protocols = tls.keep(version) })
        slot = ffi.new("void *[1]")
      end)

      after_each(function()
        C.stream_tls_session_free(slot[0])
        C.tls_server_unref(server)
        C.tls_client_unref(client)
        C.tls_tickets_attach(nil)
      end)

      it("are accepted by another context of the same policy with the same keys", function()
        local shared = block()
        C.tls_tickets_rotate(shared, 1000)
        C.tls_tickets_attach(shared)
        assert.is_false(resume(server, client, slot))
        local reloaded = tls.server({ tickets = true }, pem)
        assert.is_true(resume(reloaded, client, slot))
        C.tls_server_unref(reloaded)
      end)

      it("outlive two rotations and no more", function()
        local shared = block()
        C.tls_tickets_rotate(shared, 1000)
        C.tls_tickets_attach(shared)
        assert.is_false(resume(server, client, slot))
        C.tls_tickets_rotate(shared, 2000)
        C.tls_tickets_rotate(shared, 3000)
        assert.is_true(resume(server, client, slot)) -- and gets one under the current key
        C.tls_tickets_rotate(shared, 4000)
        C.tls_tickets_rotate(shared, 5000)
        assert.is_true(resume(server, client, slot))
        for now = 6000, 8000, 1000 do
          C.tls_tickets_rotate(shared, now)
        end
        assert.is_false(resume(server, client, slot))
      end)

      it("are refused by a process with other keys", function()
        local mine, theirs = block(), block()
        C.tls_tickets_rotate(mine, 1)
        C.tls_tickets_rotate(theirs, 1)
        C.tls_tickets_attach(mine)
        assert.is_false(resume(server, client, slot))
        C.tls_tickets_attach(theirs)
        assert.is_false(resume(server, client, slot))
      end)

      it("work with keys of the process while the block is empty or being written", function()
        local shared = block()
        C.tls_tickets_attach(shared)
        assert.is_false(resume(server, client, slot))
        assert.is_true(resume(server, client, slot))
        C.tls_tickets_rotate(shared, 1)
        ffi.cast("uint32_t *", shared)[0] = 3 -- the master died in the middle
        assert.is_true(resume(server, client, slot))
      end)
    end)
  end
end)

-- A Node service and a Python service behind one TLS site. Ports and the certificate's folder come from the environment, so
-- that the spec can run it beside others.
local function here(name, default)
  return "127.0.0.1:" .. env(name, default)
end

gateway {
  workers  = 2,
  listen   = { here("PORT", "8080"), here("TLS_PORT", "8443") .. " tls" },
  security = "strict",
}

local node   = upstream "node"   { here("NODE_PORT", "3000"),   keepalive = { idle = 16 } }
local python = upstream "python" { here("PYTHON_PORT", "8000"), keepalive = { idle = 16 } }

site "app.example.com" {
  tls = env("CERTS", "certs"),               -- a folder with fullchain.pem and privkey.pem; plain HTTP is redirected

  route "/"      { proxy = node },
  route "/ws/*"  { proxy = node, websocket = { idle = "1h" } },
  route "/api/*" { proxy = python, strip_prefix = true },   -- /api/events: an event stream is never buffered
}

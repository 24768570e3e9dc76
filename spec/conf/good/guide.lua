-- The guide in the native dialect, without what later builds bring (cache, active probes, TCP admin, TLS files).
gateway {
  workers  = "auto",
  trust    = { "173.245.48.0/20", "103.21.244.0/22", header = "X-Forwarded-For" },
  security = "strict",
  admin    = { socket = "/run/moongate/admin.sock" },
  log      = { access = "/var/log/moongate/access.json" },
  listen   = "127.0.0.1:8080",
}

local backend = upstream "backend" {
  "127.0.0.1:3000", "127.0.0.1:3001",
  { "127.0.0.1:3002", backup = true },
  balance   = "least_conn",
  keepalive = { idle = 32, requests = 1000, timeout = "60s" },
  health    = { passive = { fails = 3, window = "10s" } },
}
local node   = upstream "node_app"    { "127.0.0.1:3000" }
local api    = upstream "python_api"  { "127.0.0.1:8000" }
local search = upstream "java_search" { "127.0.0.1:9200" }

site "app.example.com" {
  timeouts = { connect = "5s", send = "30s", read = "30s" },
  buffer   = { head = "16k", count = 16, size = "16k" },
  headers  = { set = { ["Content-Security-Policy"] = "default-src 'self'" } },

  route "/"         { proxy = node },
  route "/api/*"    { proxy = api,    strip_prefix = true },
  route "/search/*" { proxy = search, strip_prefix = true },
  route "/events"   { proxy = backend, buffer = false, timeouts = { read = "600s" } },
  route "/ws/*"     { proxy = backend, websocket = { idle = "1h" } },
  route "/upload"   { proxy = backend, body_limit = "200m", timeouts = { read = "600s" } },
  route "/login"    { proxy = api, use = { policy "limit" { rate = "5/m", burst = 10 } } },
}

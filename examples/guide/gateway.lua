-- The reverse-proxy guide, whole, in the native form: one HTTPS endpoint in front of a Node application, a Python API, a search
-- service, and a group of equal backends. Its headings are repeated below. Left out, because this build does not have them:
-- caching, HTTP/2, active health checks.
--
-- Ports and folders come from the environment with the guide's values as defaults, so that the spec can run it beside others.
local function here(name, default)
  return "127.0.0.1:" .. env(name, default)
end

gateway {
  workers = "auto",
  listen  = { here("PORT", "8080"), here("TLS_PORT", "8443") .. " tls" }, -- without this line: 80 and 443

  -- Real IP behind a CDN: believed from these networks only. Logs, limits, X-Forwarded-For and req.client_ip then speak of the client.
  trust = { "173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", env("EDGE", "103.31.4.0/22"), header = "X-Forwarded-For" },

  -- Security headers: HSTS, nosniff, SAMEORIGIN, Referrer-Policy, Permissions-Policy; on error answers too, and never over the
  -- backend's own.
  security = "strict",

  log = { access = "-" },
}

-- Keepalive and passive health checks. Without these lines it would be 64 idle connections and the same health checks.
local backend = upstream "backend" {
  here("BACKEND1", "3000"), here("BACKEND2", "3001"),
  { here("BACKEND3", "3002"), backup = true },
  balance   = "least_conn",
  keepalive = { idle = 32, requests = 1000, timeout = "60s" },
  health    = { passive = { fails = 3, window = "10s" } },
}

-- Multiple backends
local node   = upstream "node_app"    { here("NODE", "3000"),   keepalive = { idle = 16 } }
local api    = upstream "python_api"  { here("PYTHON", "8000"), keepalive = { idle = 16 } }
local search = upstream "java_search" { here("JAVA", "9200"),   keepalive = { idle = 16 } }

-- Minimum-viable reverse proxy: TLS, forwarded headers (there without asking), the redirect from plain HTTP.
site "app.example.com" {
  tls = env("CERTS", "certs"),                -- e.g. "/etc/letsencrypt/live/app.example.com"

  -- Timeouts. Also the defaults; written out as the guide wants.
  timeouts = { connect = "5s", send = "30s", read = "30s" },

  -- Buffering: 16 buffers of 16 KB in memory, then a temporary file; a slow client never holds a backend.
  buffer = { head = "16k", count = 16, size = "16k" },

  headers = { set = { ["Content-Security-Policy"] = "default-src 'self'" } },

  route "/"         { proxy = node },
  route "/api/*"    { proxy = api,    strip_prefix = true },
  route "/search/*" { proxy = search, strip_prefix = true },
  route "/balanced" { proxy = backend },

  -- Streaming: no buffering. (An event stream would not be buffered anyway.)
  route "/events"   { proxy = backend, buffer = false, timeouts = { read = "600s" } },

  -- WebSocket: upgrades pass without further words; this one may be silent for an hour.
  route "/ws/*"     { proxy = backend, websocket = { idle = "1h" } },

  -- Long uploads
  route "/upload"   { proxy = backend, body_limit = "200m", timeouts = { read = "600s" } },

  -- "A sane place to put rate limits"
  route "/login"    { proxy = api, use = { policy "rate_limit" { rate = "5/m", burst = 10, by = "client_ip" } } },
}

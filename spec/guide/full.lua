-- Everything in the guide in one file, as a site would deploy it: HTTP/2 to clients, active checks, the CDN's addresses, security fields.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = "{{PREFIX}}/access.log", error = "{{PREFIX}}/error.log", level = "info" },
  trust = { "173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22", "127.0.0.2/32", header = "X-Forwarded-For", recursive = false },
}

local backend = upstream "backend" {
  "127.0.0.1:{{A}}", "127.0.0.1:{{B}}",
  { "127.0.0.1:{{C}}", backup = true },
  keepalive = { idle = 32, requests = 1000, timeout = "60s" },
  health = {
    passive = { fails = 3, window = "10s", panic = 100 },
    active  = { type = "tcp", every = "1s", timeout = "500ms", rise = 1, fall = 2 },
  },
  retry_budget = false,
}
local api = upstream "python_api" { "127.0.0.1:{{D}}", keepalive = { idle = 16 } }

site "app.example.com" {
  listen   = "127.0.0.1:{{HTTPS}} tls",
  tls      = { cert = "{{CERT}}", key = "{{KEY}}" },
  http2    = { streams = 128 },
  security = "strict",
  timeouts = { connect = "5s", send = "30s", read = "30s" },
  buffer   = { head = "16k", count = 16, size = "16k" },
  retry    = { tries = 3 },
  request_headers = { set = { ["X-Forwarded-For"] = "$proxy_add_x_forwarded_for" } },

  route "/"             { proxy = backend },
  route "/api/*"        { proxy = api, strip_prefix = true },
  route "/api/products" { proxy = backend, security = false },
  route "/events"       { proxy = backend, buffer = false },
  route "/ws/*"         { proxy = backend, websocket = { idle = "1h" } },
}

-- with 443 and 80 `tls` alone brings this redirect
site "app.example.com" {
  listen = "127.0.0.1:{{HTTP}}",
  redirect = { to = "https://$host$request_uri", status = 301 },
}

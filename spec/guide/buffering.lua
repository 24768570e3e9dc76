-- Buffering on, and off for streaming.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = false, error = "{{PREFIX}}/error.log", level = "info" },
}

local backend = upstream "backend" { "127.0.0.1:{{A}}", keepalive = { idle = 16 } }

site "app.example.com" {
  listen = { "127.0.0.1:{{HTTP}}", "127.0.0.1:{{HTTPS}} tls" },
  http_redirect = false,
  tls = { cert = "{{CERT}}", key = "{{KEY}}" },
  body_limit = "50m",
  buffer = { head = "16k", count = 16, size = "16k" },
  buffer_request = true,
  proxy = backend,

  route "/small"    { buffer = { head = "4k", count = 8, size = "4k" } },
  route "/held"     { http = "1.0", buffer = { hold = true } },
  route "/events/*" { buffer = false },
}

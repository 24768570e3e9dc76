-- WebSocket: on below /ws/ and /wshort/, off elsewhere. Idle times are the tunnel's own.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = false, error = "{{PREFIX}}/error.log", level = "info" },
}

local backend = upstream "backend" { "127.0.0.1:{{A}}", keepalive = false }

site "app.example.com" {
  listen = { "127.0.0.1:{{HTTP}}", "127.0.0.1:{{HTTPS}} tls" },
  http_redirect = false,
  tls = { cert = "{{CERT}}", key = "{{KEY}}" },
  timeouts = { read = "1s", send = "1s" },
  proxy = backend,

  route "/"         { websocket = false },
  route "/ws/*"     { websocket = { idle = "8s" } },   -- guide: 3600s
  route "/wshort/*" { websocket = { idle = "1s" } },
}

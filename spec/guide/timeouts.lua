-- Explicit timeouts. No retries: each check measures one attempt.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = false, error = "{{PREFIX}}/error.log", level = "info" },
}

local backend = upstream "backend" { "127.0.0.1:{{A}}" }
local hole    = upstream "hole"    { "127.0.0.1:{{HOLE}}" }   -- never completes the TCP handshake
local dead    = upstream "dead"    { "127.0.0.1:{{DEAD}}" }   -- connection refused

site "app.example.com" {
  listen = "127.0.0.1:{{HTTP}}",
  timeouts = { connect = "1s", send = "2s", read = "2s" },    -- guide: 5s, 30s, 30s
  body_limit = "200m",
  buffer_request = true,   -- as nginx does unasked: the send timeout begins when the whole body is here
  retry = false,

  route "/"     { proxy = backend },
  route "/hole" { proxy = hole },
  route "/dead" { proxy = dead },
  route "/long" { proxy = backend, timeouts = { read = "8s" } },   -- guide: 600s
}

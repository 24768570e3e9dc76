-- Connections to upstreams that are kept: as in the guide, with limits small enough to be seen, and not at all.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = false, error = "{{PREFIX}}/error.log", level = "info" },
}

local backend = upstream "backend" {
  "127.0.0.1:{{A}}",
  keepalive = { idle = 32, requests = 1000, timeout = "60s" },
}
local few = upstream "few" {
  "127.0.0.1:{{B}}",
  keepalive = { idle = 2, requests = 5, timeout = "1s" },   -- guide: 1000, 60s
}
local nopool = upstream "nopool" { "127.0.0.1:{{C}}", keepalive = false }

site "app.example.com" {
  listen = "127.0.0.1:{{HTTP}}",
  request_headers = { set = { ["X-Forwarded-For"] = "$proxy_add_x_forwarded_for" } },

  route "/"         { proxy = backend },
  route "/few/*"    { proxy = few },
  route "/nopool/*" { proxy = nopool, http = "1.0" },
}

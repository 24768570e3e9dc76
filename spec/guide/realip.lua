-- The client's address behind a CDN: in headers, in the log, for limits and lists.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = {
    path = "{{PREFIX}}/access.log", format = "$remote_addr|$realip_remote_addr|$request_uri|$status",
  }, error = "{{PREFIX}}/error.log", level = "info" },
}

local backend = upstream "backend" { "127.0.0.1:{{A}}" }

site "app.example.com" {
  listen = "127.0.0.1:{{HTTP}}",
  trust = {
    "173.245.48.0/20", "103.21.244.0/22", "103.22.200.0/22",
    "127.0.0.2/32",          -- the test's "CDN edge"
    header = "X-Forwarded-For", recursive = false,
  },
  request_headers = { set = {
    ["X-Forwarded-For"] = "$proxy_add_x_forwarded_for",
    ["X-Edge"] = "$realip_remote_addr",
  } },
  proxy = backend,

  route "/limited" { use = { policy "rate_limit" { rate = "1/m", by = "client_ip", status = 503 } } },
  route "/acl"     { access = { "deny 203.0.113.66" } },
}

site "app.example.com" {
  listen = "127.0.0.1:{{HTTP2}}",
  trust = { "127.0.0.2/32", "173.245.48.0/20", recursive = true },
  proxy = backend,
}

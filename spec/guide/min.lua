-- The smallest useful configuration, and the redirect from HTTP to HTTPS. The second site is written out because the ports here are
-- not 443 and 80: with those `tls` alone brings the redirect.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = "{{PREFIX}}/access.log", error = "{{PREFIX}}/error.log", level = "info" },
}

site "app.example.com" {
  listen = "127.0.0.1:{{HTTPS}} tls",
  tls = { cert = "{{CERT}}", key = "{{KEY}}" },
  body_limit = "1m",
  buffer_request = true,
  host = "$host",
  -- the guide appends to whatever the client sent; without this line a chain from a peer outside `trust` is dropped
  request_headers = { set = { ["X-Forwarded-For"] = "$proxy_add_x_forwarded_for", ["X-Forwarded-Host"] = "$host" } },
  proxy = "http://127.0.0.1:{{A}}",
}

-- "*": a request of HTTP/1.0 may come without Host, and is redirected too
site { "app.example.com", "*" } {
  listen = "127.0.0.1:{{HTTP}}",
  redirect = { to = "https://$host$request_uri", status = 301 },
}

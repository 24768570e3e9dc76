-- Several services behind one site, each below its prefix.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = false, error = "{{PREFIX}}/error.log", level = "info" },
}

local node   = upstream "node_app"    { "127.0.0.1:{{A}}", keepalive = { idle = 16 } }
local api    = upstream "python_api"  { "127.0.0.1:{{B}}", keepalive = { idle = 16 } }
local search = upstream "java_search" { "127.0.0.1:{{C}}", keepalive = { idle = 16 } }

local chain = { set = { ["X-Forwarded-For"] = "$proxy_add_x_forwarded_for" } }

site "app.example.com" {
  listen = { "127.0.0.1:{{HTTPS}} tls", "127.0.0.1:{{HTTP}}" },
  http_redirect = false,
  tls = { cert = "{{CERT}}", key = "{{KEY}}" },
  forwarded = false,

  route "/"              { proxy = node },
  route "/api/*"         { proxy = api, strip_prefix = true, slash_redirect = true, request_headers = chain },
  route "/search/*"      { proxy = search, strip_prefix = true, host = "java_search" },
  route "/full/*"        { proxy = api },
  route "/v1/*"          { proxy = "http://python_api/internal", strip_prefix = true },
  route "/brokenchain/*" { proxy = api, request_headers = { set = { ["X-Forwarded-For"] = "$remote_addr" } } },
}

-- Security headers. `security = "strict"` sends the same five where the backend has none of its own; the guide's add_header
-- stands beside the backend's, which is `headers.add`.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = false, error = "{{PREFIX}}/error.log", level = "info" },
}

local backend = upstream "backend" { "127.0.0.1:{{A}}" }
local dead    = upstream "dead"    { "127.0.0.1:{{DEAD}}" }

site "app.example.com" {
  listen = { "127.0.0.1:{{HTTP}}", "127.0.0.1:{{HTTPS}} tls" },
  http_redirect = false,
  tls = { cert = "{{CERT}}", key = "{{KEY}}" },
  headers = {
    add = {
      ["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains",
      ["X-Content-Type-Options"] = "nosniff",
      ["X-Frame-Options"] = "SAMEORIGIN",
      ["Referrer-Policy"] = "strict-origin-when-cross-origin",
      ["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()",
      ["X-Only-Ok"] = { "yes", always = false },
    },
  },

  route "/"      { proxy = backend },
  route "/dead"  { proxy = dead },
  route "/moved" { redirect = { to = "/elsewhere", status = 301 } },
  route "/gone"  { reply = { status = 410 } },
  route "/own"   { proxy = backend, headers = { add = { -- inherited ones are switched off one by one
    ["X-Own"] = "1", ["X-Frame-Options"] = false,
  } } },
}

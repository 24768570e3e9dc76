gateway { shared = { sessions = "4m", small = "64k" }, workers = 2, scripts = { cpu = "50ms" }, listen = "127.0.0.1:8080" }

local secure = upstream "secure" { "https://a.internal:8443", { "https://a.internal:9443", down = true }, tls = { verify = false } }
local named  = upstream "named" {
  "10.0.0.1:443", "10.0.0.2:443", tls = { name = "x.internal" }, keepalive = false, balance = "round_robin",
}
local socket = upstream "socket" { "unix:/run/app.sock", health = { passive = false } }

site "*" {
  route "/a/*" { proxy = secure, host = "a.internal" },
  route "/b/*" { proxy = named },
  route "/c/*" { proxy = "http://named/base/", strip_prefix = true },
  route "/d/*" { proxy = "https://api.example.com/v2" },
  route "/e/*" { proxy = "https://api.example.com" },
  route "/f"   { proxy = socket, http = "1.0", via = true, forwarded = false, rewrite_location = false },
}

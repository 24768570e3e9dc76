-- gateway → site → route: tables merge by key, lists replace, false switches off
gateway {
  listen = { "127.0.0.1:8080", "unix:/run/x.sock", "[::1]:8081 proxy_protocol" },
  timeouts = { connect = "1s", read = "2s", idle = "9s" },
  headers = { set = { ["X-A"] = "1", ["X-B"] = "2" }, remove = { "X-Gone", "X-Too" } },
  body_limit = "1m", security = "strict", buffer_request = true,
  retry = { tries = 3, on = { "timeout", 502 } },
  trust = { "10.0.0.0/8", header = "x-real-ip", recursive = false },
  log = { access = { path = "access.log", format = "combined" } },
  use = { policy "limit" { rate = "1/s" } },
}
local up = upstream "up" { { env "UPSTREAM", weight = 2, max_conns = 5 }, hash = "$remote_addr", retry_budget = false }

site { "A.example.com", "*.b.example.com" } {
  timeouts = { read = "3s", total = "1m30s" },
  headers = { set = { ["x-b"] = "3" } },
  trust = { "192.168.0.0/16" },
  proxy = up,

  route "/plain/*"  {},
  route "/own"      { headers = { set = { ["X-A"] = false, ["X-Frame-Options"] = "DENY" }, remove = { "X-Other" } }, security = "strict" },
  route "/off"      { headers = false, security = false, body_limit = false, retry = false, buffer_request = false,
                      log = { access = false } },
  route "/nouse"    { use = false, on = { access = function() end } },
  route "/log"      { log = { access = { format = "$uri" } } },
  route "/gone"     { reply = { status = 410, body = "gone from $host", headers = { ["X-Why"] = { "moved", always = false } } } },
  route "/old/*"    { redirect = "https://new.example.com$request_uri" },
  route "/u/:id"    { methods = { "GET", "POST" } },
  route "/u/:id"    { methods = "PUT" },
  route "~* \\.PNG$" { when = { header = { ["X-Beta"] = true }, query = { v = "2" }, cookie = { s = "~ ^a" } } },
}

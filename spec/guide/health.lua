-- Which backends are used: failures of real requests take one out for a while, the backup serves when no other can.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = {
    access = { path = "{{PREFIX}}/access.log", format = "$request_uri|$status|$upstream_addr|$upstream_status" },
    error = "{{PREFIX}}/error.log", level = "info",
  },
}

local backend = upstream "backend" {
  "127.0.0.1:{{A}}", "127.0.0.1:{{B}}",
  { "127.0.0.1:{{C}}", backup = true },
  balance = "round_robin",
  health = { passive = { fails = 3, window = "2s", panic = 100 } },   -- guide: 10s; panic: both may be out at once
  retry_budget = false,
}

site "app.example.com" {
  listen = "127.0.0.1:{{HTTP}}",
  timeouts = { connect = "1s", read = "1s" },
  retry = { tries = 3 },
  proxy = backend,
}

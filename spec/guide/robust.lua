-- What every proxied request relies on.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = false, error = "{{PREFIX}}/error.log", level = "info" },
}

local backend = upstream "backend" { "127.0.0.1:{{A}}", keepalive = { idle = 8 } }

site { "app.example.com", "*" } {
  listen = "127.0.0.1:{{HTTP}}",
  client = { head = "32k", target = "8k", underscores = false },
  host = "$host",
  proxy = backend,
}

site { "other.example.com", "*.wild.example.com" } {
  listen = "127.0.0.1:{{HTTP}}",
  reply = { status = 200, body = "other:$host" },
}

-- Starting, reloading, stopping, logging.
local root = ("{{USER}}"):match("user (%w+);")

gateway {
  workers = 1,
  user = root,
  pid = "{{PREFIX}}/server.pid",
  temp_dir = "{{PREFIX}}",
  log = { access = { path = "{{PREFIX}}/access.log", format = "combined" }, error = "{{PREFIX}}/error.log", level = "info" },
}

site "app.example.com" {
  listen = "127.0.0.1:{{HTTP}}",
  request_headers = { set = { ["X-Generation"] = "{{GEN}}" } },
  proxy = "http://127.0.0.1:{{A}}",
}

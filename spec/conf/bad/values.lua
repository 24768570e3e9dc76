gateway {
  workers = "many", proxy = "127.0.0.1:1", listen = { "8o80", 8080, ":80 ssl" },
  trust = { "10.0.0.0/33", header = 5 }, log = { level = "warning" }, admin = { listen = ":1" },
  shared = { s = 5 },
}
local up = upstream "up" { "127.0.0.1", { "127.0.0.1:1", wieght = 2 }, "http://127.0.0.1:1/x", balance = "least", health = { active = { path = "/" } } }
local empty = upstream "empty" { balance = "hash" }
local pages = cache "pages" { disk = "/x" }
site "a.example.com" {
  proxy = up, workers = 3,
  headers = { set = { ["Bad Name"] = "1", Connection = "x", ["X-Split"] = "a\r\nb" }, remove = { 5 } },
  request_headers = { set = { Host = "x" } },
  route "/a" { body_limit = "10 MB", buffer = { size = 4096 }, timeouts = { read = "30", idle = "5s" }, methods = { "get" } },
  route "/b" { on = { acces = function() end, access = 5 }, use = { policy "limit" { rat = "5/m" }, policy "none", 7 } },
  route "/c" { proxy = empty, retry = { tries = 0, on = { "always", 200 } }, redirect = nil },
  route "/d" { use = { policy "broken" {}, policy "limit" { rate = 5, to = "nobody" } } },
  route "/e" { cache = { zone = pages }, security = "stict" },
}

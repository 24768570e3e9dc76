-- order: gateway, site, route; policies before inline hooks. What nobody attached has no hook id.
gateway { listen = "127.0.0.1:8080", on = { log = function() end } }
local other = upstream "other" { "127.0.0.1:2" }

site "a.example.com" {
  proxy = "127.0.0.1:1",
  use = { policy "limit" { rate = "1/s" } },
  route "/same" {},
  route "/more" { use = { policy "limit" { rate = "2/s", to = other } }, on = { rewrite = function() end, body = function() end } },
}
site "b.example.com" { proxy = "127.0.0.1:1", on = false }

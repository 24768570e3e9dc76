local up = upstream "up" { "127.0.0.1:1" }
site "a.example.com" {
  route "/x" { proxy = up },
  route "/x" { proxy = up },
  route "/u/:id" { proxy = up },
  route "/u/:name" { proxy = up },
  route "/*" { proxy = up },
  route "/" { proxy = up },
  route "/m" { proxy = up, methods = "GET" },
  route "/m" { proxy = up, methods = { "POST", "GET" } },
  route "/w" { proxy = up, when = { header = { A = "1" } } },
  route "/w" { proxy = up, when = { header = { A = "2" } } },
  route "/w" { proxy = up, when = { header = { B = true } } },
  route "x" { proxy = up },
  route "/a*" { proxy = up },
  route "/v:id" { proxy = up },
  route "/s" { proxy = up, strip_prefix = true },
  route "/none" {},
  route "/two" { proxy = up, reply = { status = 200 } },
  route "/notable",
  "/y",
}
site "a.example.com" { proxy = up }
site "http://b.example.com:80" { proxy = up }
site "empty.example.com" {}

local app = upstream "app" { "127.0.0.1:3000" }
site "a.example.com" {
  route "/u/:id" { proxy = app },
  route "/u/:name" { proxy = app },
}

local app = upstream "app" { { "127.0.0.1:3000", weight = 0 } }
site "a.example.com" { proxy = app }

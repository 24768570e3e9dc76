local app = upstream "app" { "app.internal" }
site "a.example.com" { proxy = app }

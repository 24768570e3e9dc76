local app = upstream "app" { "127.0.0.1:3000", balance = "least_con" }
site "a.example.com" { proxy = app }

local app = upstream "app" { "127.0.0.1:3000" }
upstream "spare" { "127.0.0.1:3001" }
site "a.example.com" { proxy = app }

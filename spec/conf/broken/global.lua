backend = upstream "app" { "127.0.0.1:3000" }
site "a.example.com" { proxy = backend }

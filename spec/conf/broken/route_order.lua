site "a.example.com" { route "api/*" { proxy = "127.0.0.1:3000" } }

site "a.example.com" { proxy = "127.0.0.1:3000" }
site { "b.example.com", "a.example.com" } { proxy = "127.0.0.1:3001" }

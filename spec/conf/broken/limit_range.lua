gateway { limits = { connections = 0 } }
site "a.example.com" { proxy = "127.0.0.1:3000" }

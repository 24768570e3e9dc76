site "a.example.com" { proxy = "127.0.0.1:3000", body_limti = "1m" }

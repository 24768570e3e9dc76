site "a.example.com" { proxy = "127.0.0.1:3000", use = { policy "rate_limits" { rate = "5/s" } } }

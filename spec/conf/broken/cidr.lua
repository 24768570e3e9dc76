gateway { trust = { "10.0.0.0/40" } }
site "a.example.com" { proxy = "127.0.0.1:3000" }

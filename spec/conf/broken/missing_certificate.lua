site "a.example.com" { tls = { cert = "none.pem", key = "tls/app.key" }, proxy = "127.0.0.1:3000" }

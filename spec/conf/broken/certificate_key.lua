site "app.example.com" { tls = { cert = "tls/app.pem", key = "tls/other.key" }, proxy = "127.0.0.1:3000" }

site "app.example.com" { tls = { cert = "tls/other.pem", key = "tls/other.key" }, proxy = "127.0.0.1:3000" }

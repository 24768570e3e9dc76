site "a.example.com" { listen = "127.0.0.1:8443 tls", proxy = "127.0.0.1:3000" }

site "a.example.com" { listen = "127.0.0.1:8080", proxy = "127.0.0.1:3000" }
site "b.example.com" { listen = "127.0.0.1:8080 proxy_protocol", proxy = "127.0.0.1:3000" }

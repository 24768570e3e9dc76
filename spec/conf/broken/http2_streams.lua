site "a.example.com" { listen = "127.0.0.1:8080", http2 = { streams = 100000 }, proxy = "127.0.0.1:3000" }

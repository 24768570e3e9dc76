site "a.example.com" { listen = ":70000", proxy = "127.0.0.1:3000" }

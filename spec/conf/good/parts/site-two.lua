site "two.example.com" { listen = "127.0.0.1:8080", redirect = { to = "/", status = 308 } }

site "a.example.com" { redirect = { to = "https://${host/x" } }

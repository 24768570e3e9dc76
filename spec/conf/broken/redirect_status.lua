site "a.example.com" { redirect = { to = "/x", status = 200 } }

site "a.example.com" { redirect = { to = "https://$hots$request_uri" } }

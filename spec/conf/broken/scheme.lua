site "a.example.com" { proxy = "ftp://127.0.0.1:21" }

site "a.example.com" { files = { index = "index.html" } }

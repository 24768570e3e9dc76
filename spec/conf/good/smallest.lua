site "app.example.com" { proxy = "http://127.0.0.1:3000" }

site "a.example.com" { proxy = env "BACKEND_URL" }

site "a.example.com" { route "/x" { methods = "post", proxy = "127.0.0.1:3000" } }

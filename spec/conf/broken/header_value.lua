site "a.example.com" { proxy = "127.0.0.1:3000", headers = { set = { ["X-A"] = "1\r\nSet-Cookie: a=b" } } }

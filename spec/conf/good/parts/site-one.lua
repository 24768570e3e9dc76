site "one.example.com" { listen = "127.0.0.1:8080", reply = { body = file "text.txt" } }

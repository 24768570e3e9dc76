local http = require "socket.http"
site "a.example.com" { proxy = "127.0.0.1:3000" }

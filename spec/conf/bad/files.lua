local text = file "missing.txt"
include "missing.lua"
site "a.example.com" { tls = "nowhere", proxy = "127.0.0.1:1" }
site "b.example.com" { tls = { cert = "files.lua", key = "files.lua" }, proxy = "127.0.0.1:1" }
site "c.example.com" { tls = { cert = "x.pem" }, proxy = "127.0.0.1:1" }
site "d.example.com" { listen = "127.0.0.1:8443 tls", proxy = "127.0.0.1:1" }

include "sites/a.lua"
site "a.example.com" { proxy = "127.0.0.1:3000" }

local common = include "parts/common.lua"
include "parts/site-*.lua"
site "main.example.com" { listen = "127.0.0.1:8080", timeouts = common.timeouts, proxy = "127.0.0.1:1" }

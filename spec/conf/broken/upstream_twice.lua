local one = upstream "app" { "127.0.0.1:3000" }
local two = upstream "app" { "127.0.0.1:3001" }
site "a.example.com" { proxy = one }

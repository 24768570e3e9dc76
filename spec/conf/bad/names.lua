local backend = upstream "backend" { "127.0.0.1:3000" }
workers = 3
site "a.example.com" { proxy = backned }
site "b.example.com" { proxy = "bakend" }
sites "c.example.com" { proxy = backend }
site "d.example.com" { proxy = backend, proxy = backend }
local x = mg.now()
site "e.example.com" { proxy = env "NOT_SET" }
upstream "backend" { "127.0.0.1:3001" }
gateway {}
gateway {}

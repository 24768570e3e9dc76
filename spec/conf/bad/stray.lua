site "a" { proxy = "127.0.0.1:1" }
route "/x" { proxy = "127.0.0.1:1" }
local u = upstream "spare" { "127.0.0.1:1" }
site "b" {}

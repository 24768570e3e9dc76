site "a.example.com" {
  route "/x" { proxy = "127.0.0.1:3000", redirect = { to = "/y" } },
}

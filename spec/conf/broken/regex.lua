site "a.example.com" {
  route "~ ^/(a|b$" { proxy = "127.0.0.1:3000" },
}

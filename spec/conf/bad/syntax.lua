site "a" {
  proxy = "127.0.0.1:1",,
}

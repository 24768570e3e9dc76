gateway { listen = "127.0.0.1:8080" }



site "app.example.com" {
  proxy = "127.0.0.1:3000",

  timeouts = { conect = "5s", read = 30 },
}

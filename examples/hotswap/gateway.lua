-- A policy that is replaced under load: run this, then `python3 examples/hotswap/swap.py` beside it.
gateway {
  workers = 2,
  watch   = true,
  listen  = "127.0.0.1:" .. env("PORT", "8080"),
  log     = { access = false },
}

site "*" {
  use = { policy "greet" {} },
  reply = { body = "served to the end\n" },
}

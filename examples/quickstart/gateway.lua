-- The quickstart: a gateway on 127.0.0.1:8080, and the demo application that it stands in front of, in one process.
-- `make run` starts it. Edit scripts/hello.lua meanwhile, or this file: with `watch` a saved file goes live by itself.
local port, demo_port = env("PORT", "8080"), env("DEMO_PORT", "8081")

gateway {
  workers = 2,
  watch   = true,
  log     = { access = false },
}

site "*" {
  listen = "127.0.0.1:" .. port,
  proxy  = "http://127.0.0.1:" .. demo_port,
  use    = { policy "hello" { rate = "5/s", burst = 10 } },
}

-- The demo application: hooks that answer. A real one would be a process of its own; only `proxy` above would change.
site "*" {
  listen = "127.0.0.1:" .. demo_port,
  on = {
    access = function(req)
      return req:reply(200, ("Hello from the demo application.\npath %s, asked for by %s\n"):format(
        req.path, req.headers["X-Forwarded-For"] or "nobody"))
    end,
  },
}

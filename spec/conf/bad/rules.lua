gateway {
  vars = {
    ["1st"] = "x",
    both    = { map = "$host", geo = "$remote_addr" },
    none    = { default = "x" },
    shares  = { split = "$host", shares = { { "60%", "a" }, { "50%", "b" } } },
    share   = { split = "$host", shares = { { "5 percent", "a" } } },
    mixed   = { geo = "$remote_addr", values = { ["10.0.0.0/8"] = "a", ["10.0.0.1-10.0.0.2"] = "b" } },
    place   = { geo = "$remote_addr", values = { ["nowhere"] = "a", ["10.0.0.0/8"] = "$host" } },
  },
  trust = { "10.0.0.0/8" },
}
site "a.example.com" {
  proxy = "127.0.0.1:3000",
  errors = {
    [200] = "/x", ["6xx"] = "/x", ["404"] = "/x", [404] = "not-found.html", [500] = { page = "/x", body = "y" }, [502] = "@nowhere",
    [503] = { file = "missing.html" }, intercept = "yes",
  },
  access = { "allow 10.0.0.0/33", "permit all" },
  satisfy = "some",
  cookies = { flags = { session = { "samesite=maybe" } }, paths = {} },
  send = { body = 1, from = {} },
  upstream_headers = { hide = { "X Y" } },
  forward_auth = { set = { user = true } },
  mirror = "copy",
  rewrite_location = { "http://a/" },
  rate = "fast",
  route "@bad name" { reply = {} },
  route "@twice" { reply = {} },
  route "@twice" { reply = {} },
  route "/f" { files = { root = ".", otherwise = "nowhere" } },
  route "/v" { proxy = "$host.local:80" },
}

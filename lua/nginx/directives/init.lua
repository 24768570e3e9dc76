--- The directive modules, in the order their emitters run: `main` first, which gives every route nginx's defaults.
return {
  require "nginx.directives.main",
  require "nginx.directives.log",
  require "nginx.directives.http",
  require "nginx.directives.client",
  require "nginx.directives.server",
  require "nginx.directives.http2",
  require "nginx.directives.location",
  require "nginx.directives.static",
  require "nginx.directives.headers",
  require "nginx.directives.gzip",
  require "nginx.directives.upstream",
  require "nginx.directives.proxy",
  require "nginx.directives.limit",
  require "nginx.directives.mirror",
  require "nginx.directives.auth",
  require "nginx.directives.access",
}

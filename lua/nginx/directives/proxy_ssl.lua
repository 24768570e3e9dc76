--- proxy_ssl_*: TLS towards upstreams.
return require "nginx.upstream_ssl" "proxy"

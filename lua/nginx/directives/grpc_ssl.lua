--- grpc_ssl_*: TLS towards upstreams of gRPC.
return require "nginx.upstream_ssl" "grpc"

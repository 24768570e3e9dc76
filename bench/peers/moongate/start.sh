#!/bin/bash
# Moongate for the load harness: writes a native configuration for $BENCH_MODE into $BENCH_DIR and runs it in the foreground.
# BENCH_MOONGATE names the binary; else build/moongate of the tree this file stands in.
set -eu
here=$(cd "$(dirname "$(readlink -f "$0")")/../../.." && pwd)
bin=${BENCH_MOONGATE:-$here/build/moongate}
D=$BENCH_DIR P=$BENCH_PORT A=${BENCH_ARG:-}
listen="\"127.0.0.1:$P\"" gateway="" site="" route="" routes="" sites="" name='"*"'
case $BENCH_MODE in
proxy | reload | splice) ;;
nobuf) route="buffer = false, body_limit = false," ;;
upload) route="buffer_request = { memory = \"64k\" }, body_limit = false," ;;
lua)
  read='local k = req.headers["X-Key"]'
  incr='local n = counters:incr("k", 1, 0)'
  header='on_header = function(req, res) res.headers["X-Proxy"] = "gate" end'
  case $A in
  '' | full) access="$read $incr if not k or n > 1e15 then return req:reply(403) end req.headers[\"X-Count\"] = n" ;;
  fullvar) access="local k = req:var(\"http_x_key\") $incr if not k or n > 1e15 then return req:reply(403) end req.headers[\"X-Count\"] = n" ;;
  empty) access=" " header= ;;
  var) access='local k = req:var("http_x_key")' header= ;;
  headers) access=$read header= ;;
  incr) access=$incr header= ;;
  get) access='local n = counters:get("k")' header= ;;
  set_header) access='req.headers["X-Count"] = 1' header= ;;
  yield) access='mg.sleep(0)' header= ;;
  hfilter_empty) access= header='on_header = function(req, res) end' ;;
  hfilter) access= ;;
  *) exit 77 ;;
  esac
  gateway='shared = { c = "1m" },'
  mkdir -p "$D/scripts"
  cat >"$D/scripts/bench.lua" <<LUA
local mg = require "moongate"
local counters = mg.shared.c
return mg.policy {
  name = "bench", doc = "The benchmark's hooks.", options = mg.schema.record {},
  new = function()
    local hooks = {}
    ${access:+hooks.access = function(req) $access end}
    ${header:+hooks.header = ${header#on_header = }}
    return hooks
  end,
}
LUA
  route='use = { policy "bench" {} },' ;;
tls)
  listen="\"127.0.0.1:$P\", \"127.0.0.1:$BENCH_TLS_PORT tls\""
  site="tls = { cert = \"$BENCH_CERT\", key = \"$BENCH_KEY\" }, http_redirect = false," name='"localhost", "*"' ;;
limit) route='use = { policy "rate_limit" { rate = "1/s", by = "client_ip", report = false } },' ;;
routes)
  kind=${A%%:*} n=${A##*:}
  for ((i = 1; i < n; i++)); do
    case $kind in
    prefix) routes+="  route \"/r$i/*\" { proxy = origin },"$'\n' ;;
    regex) routes+="  route \"~ ^/r$i/[a-z]+\$\" { proxy = origin },"$'\n' ;;
    hosts) sites+="site \"h$i.example\" { proxy = origin }"$'\n' ;;
    *) exit 77 ;;
    esac
  done ;;
*) exit 77 ;;
esac
cat >"$D/gateway.lua" <<CONF
gateway {
  workers = 1, user = "root", pid = "$D/moongate.pid", temp_dir = "$D",
  listen = { $listen },
  log = { access = false, level = "crit" },
  client = { requests = 1000000000 }, timeouts = { idle = "600s" },
  $gateway
}
local origin = upstream "origin" {
  "127.0.0.1:$BENCH_ORIGIN_PORT",
  keepalive = { idle = 8192, requests = 1000000000, timeout = "600s" },
}
site ${name%%,*} {
  $site
$routes  route "/" { proxy = origin, $route },
}
$sites
CONF
exec ${BENCH_WRAP:-} "$bin" run "$D/gateway.lua"

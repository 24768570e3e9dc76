#!/bin/sh
# Makes a self-signed certificate for trying things: examples/certs.sh FOLDER HOST...
set -eu
[ $# -ge 2 ] || { echo "usage: examples/certs.sh FOLDER HOST..." >&2; exit 2; }
dir=$1
shift
names=""
for name in "$@"; do names="$names${names:+,}DNS:$name"; done
mkdir -p "$dir"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
  -subj "/CN=$1" -addext "subjectAltName=$names" \
  -keyout "$dir/privkey.pem" -out "$dir/fullchain.pem" 2>/dev/null
chmod 600 "$dir/privkey.pem"
echo "$dir: certificate for $*"

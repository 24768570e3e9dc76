#!/bin/bash
# Runs the acceptance suite of the reverse-proxy guide against build/moongate with the native
# configurations of spec/guide. What applies is listed in spec/guide/APPLIES, one group a line:
#   NAME  ID,ID  why these checks of the group do not apply      ("-": all apply)
# The suite lives beside the repository ($SEED_SUITE, default ../shared/suites/seed); without it, or
# without spec/guide, there is nothing to do. Further arguments go to the suite (e.g. --only A01).
set -u
cd "$(dirname "$0")/.." || exit 2

suite=${SEED_SUITE:-../shared/suites/seed}
if [ ! -x "$suite/run" ] || [ ! -d spec/guide ]; then
    echo "seed: skipped (no $([ -x "$suite/run" ] && echo spec/guide || echo "$suite"))"
    exit 0
fi
applies=spec/guide/APPLIES
[ -e "$applies" ] || { echo "seed: $applies is missing" >&2; exit 1; }

binary=${MOONGATE:-$PWD/build/moongate}
groups=$(awk '/^[a-z]/ { print $1 }' "$applies")
skips=$(awk '/^[a-z]/ && $2 ~ /^[A-Z][0-9]/ { printf "%s%s", comma, $2; comma = "," }' "$applies")
# shellcheck disable=SC2086 # one word per group
exec "$suite/run" --server "$binary -p {prefix} -c {conf}" --conf-dir "$PWD/spec/guide" --conf-ext .lua \
    ${skips:+--skip "$skips"} "$@" $groups

#!/bin/bash
# Runs spec files, each in a LuaJIT process of its own: a crash in C code called through FFI fails one
# file, not the run, and files run in parallel. Ends with the sum of all counts; status 1 on failures.
#   tools/specs.sh [--build DIR] [--jobs N] PATH...
set -u
cd "$(dirname "$0")/.." || exit 2

build=build/release jobs=2
while [ $# -gt 0 ]; do
    case $1 in
    --build) build=$2; shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    *) break ;;
    esac
done

mkdir -p "$build/specs"
logs=$(mktemp -d "$build/specs/run.XXXXXX") # of this run only: two may run at once
trap 'rm -rf "$logs"' EXIT
export MOONGATE=${MOONGATE:-$PWD/$build/moongate}
export MG_TEST_LIB=${MG_TEST_LIB:-$PWD/$build/libmoongate_test.so}
export MG_SPEC_LOGS=$logs MG_ASAN_PRELOAD="" MG_SPEC_LIMIT=${MG_SPEC_LIMIT:-120}

# A library built with ASan can only be loaded into LuaJIT when the runtime came first. LuaJIT's own
# end-of-process leaks are not ours; the gateway's processes get their options from spec/support.
if nm -D "$MG_TEST_LIB" 2>/dev/null | grep -q ' U __asan_init'; then
    # libcrypt too: the runtime wraps crypt_r and finds the real one only where it is there from the beginning.
    MG_ASAN_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so) $(gcc -print-file-name=libcrypt.so)"
    export MG_ASAN=1 MG_SPEC_LIMIT=$((MG_SPEC_LIMIT * 3))
    export ASAN_OPTIONS=detect_leaks=0:abort_on_error=0:handle_segv=1:allow_user_segv_handler=1
    # LeakSanitizer needs ptrace, which some containers forbid; then it is off, and we say so.
    if ASAN_OPTIONS=detect_leaks=1 "$MOONGATE" -v 2>&1 | grep -q 'LeakSanitizer has encountered a fatal'; then
        export MG_LEAKS=0
        echo "specs: no leak detection here (ptrace is not allowed)"
    fi
    export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
fi

count() { # count WORD LOG: the number before WORD in busted's summary line
    sed -n "s/^.*\b\([0-9][0-9]*\) $1.*/\1/p" "$2" | tail -n 1
}

one_spec() {
    local file=$1 name log start status
    name=${file#/}
    name=${name//\//.}
    log=$MG_SPEC_LOGS/$name.log
    start=$(date +%s%N)
    if [ -n "$MG_ASAN_PRELOAD" ] && grep -qE 'spec\.(support\.unit|unit\.)|moongate\.test' "$file"; then
        LD_PRELOAD=$MG_ASAN_PRELOAD timeout -k 5 "$MG_SPEC_LIMIT" luajit /usr/bin/busted "$file" >"$log" 2>&1
    else
        timeout -k 5 "$MG_SPEC_LIMIT" luajit /usr/bin/busted "$file" >"$log" 2>&1
    fi
    status=$?
    local ms=$((($(date +%s%N) - start) / 1000000))
    local passed failed errors pending
    passed=$(count success "$log") failed=$(count failure "$log")
    errors=$(count error "$log") pending=$(count pending "$log")
    passed=${passed:-0} failed=$((${failed:-0} + ${errors:-0})) pending=${pending:-0}
    local why=""
    if [ $status -ne 0 ] && [ "$failed" -eq 0 ]; then
        failed=1 why=" (ended with status $status)"
        [ $status -eq 124 ] && why=" (not done after $MG_SPEC_LIMIT s)"
    fi
    if [ "$failed" -gt 0 ]; then
        { printf 'FAIL %4d passed, %d failed%s  %s  %d ms\n' "$passed" "$failed" "$why" "$file" "$ms"
          sed 's/^/     | /' "$log" | tail -n 120; } >"$log.out"
    else
        printf 'ok   %4d passed%s  %s  %d ms\n' "$passed" \
            "$([ "$pending" -gt 0 ] && echo ", $pending pending")" "$file" "$ms" >"$log.out"
    fi
    cat "$log.out" # one write, so that parallel files do not mix
    echo "$passed $failed" >"$MG_SPEC_LOGS/$name.count"
}
export -f one_spec count

files=$(for path in "$@"; do
    if [ -d "$path" ]; then find "$path" -name '*_spec.lua'; elif [ -e "$path" ]; then echo "$path"; else
        echo "specs: no $path" >&2; fi
done | sort -u)
[ -n "$files" ] && printf '%s\n' "$files" | xargs -P "$jobs" -I{} bash -c 'one_spec "$1"' _ {}

total=$(cat "$logs"/*.count 2>/dev/null | awk '{ p += $1; f += $2 } END { printf "%d %d", p, f }')
echo "$total" >"$build/specs/total"
echo "${total% *} passed, ${total#* } failed  ($build)"
[ "${total#* }" = 0 ]

#!/bin/bash
# Everything that must hold before a change lands, in stages; all stages run, also after a failure.
# The last line is "N passed, N failed": specs on the release and on the sanitizer build, each failed
# stage without specs (build, lint, replay) counting as one failure.
#   tools/test.sh [JOBS]
set -u
cd "$(dirname "$0")/.." || exit 2

unset MAKEFLAGS MFLAGS # this is a new make, with jobs of its own
jobs=${1:-$(nproc)}
passed=0 failed=0 broken="" began=$SECONDS
stages="build lint specs asan-build asan-specs fuzz-replay"

run_stage() {
    case $1 in
    build) make -j"$jobs" all lib ;;
    lint) make -k lint ;;
    specs) tools/specs.sh --build build/release --jobs "$jobs" spec ;;
    asan-build) make -j"$jobs" asan ;;
    asan-specs) tools/specs.sh --build build/asan --jobs "$jobs" spec ;;
    fuzz-replay) make -j"$jobs" fuzz-replay ;;
    esac
}

add_counts() { # of build/FLAVOUR/specs/total
    local p f
    read -r p f <"$1" || return
    passed=$((passed + p)) failed=$((failed + f))
}

for stage in $stages; do
    printf '\n== %s (%d s)\n' "$stage" $((SECONDS - began))
    case $stage in
    specs) rm -f build/release/specs/total ;;
    asan-specs) rm -f build/asan/specs/total ;;
    esac
    run_stage "$stage"
    status=$?
    case $stage in
    specs) add_counts build/release/specs/total || failed=$((failed + 1)) ;;
    asan-specs) add_counts build/asan/specs/total || failed=$((failed + 1)) ;;
    *) [ $status -eq 0 ] || failed=$((failed + 1)) ;;
    esac
    [ $status -eq 0 ] || broken="$broken $stage"
    # Nothing to test without a binary.
    if [ "$stage" = build ] && [ $status -ne 0 ]; then
        break
    fi
done

mkdir -p build
echo "$passed $failed" >build/test-total
printf '\n== done in %d s%s\n' $((SECONDS - began)) "${broken:+, failed:$broken}"
echo "$passed passed, $failed failed"
[ -z "$broken" ] && [ "$failed" = 0 ]

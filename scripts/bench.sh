#!/usr/bin/env bash
# Measures khd against what people use, both sides in turn. Shows the table of all that was measured, puts it into
# docs/benchmarks.md and images/benchmarks.svg, and leaves the values in target/bench/results.json. Fails when something
# cannot be measured, never for a time.
#
#   scripts/bench.sh [--short] [NAME...]    all of them, or those named:
#     up, down  a lab, against Compose v2 and the demo's way (both are measured together)
#     produce   producing flat out, against rdkafka_performance and kafka-producer-perf-test; memory, size of the image
#     read      a consumer and an audit against kcat; judging a recorded run
#     watch     what watching a lab takes, and how soon a leader change is seen
#     memory    memory of audits of 1, 10 and 100 million made-up messages; needs no lab
#
# --short measures once, little, and with the profile of the tests: to see that all of it works. It changes no file but
# those in target/bench.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
for part in common lab produce read watch memory table; do
    # shellcheck source=/dev/null
    . "scripts/bench/$part.sh"
done
all=(up down produce read watch memory)

main() {
    local -A names=()
    local name
    short='' rounds=5 out=target/bench
    for name in "$@"; do
        if [ "$name" = --short ]; then
            # shellcheck disable=SC2034 # for the parts
            short=yes rounds=1 out=target/bench/short
        elif [[ " ${all[*]} " = *" $name "* ]]; then
            [[ $name != down ]] || name=up # measured together
            names[$name]=1
        else
            say "there is no benchmark $name; there are: ${all[*]}"
            exit 2
        fi
    done
    [ ${#names[@]} -gt 0 ] || names=([up]=1 [produce]=1 [read]=1 [watch]=1 [memory]=1)
    # A short run is one of the tests, which have all they need.
    [ -n "$short" ] || bash scripts/setup.sh --bench
    mkdir -p "$out"
    build
    for name in "${all[@]}"; do
        # In a process of its own, so that it is cleaned up after at once.
        [ -z "${names[$name]-}" ] || ("bench_$name")
    done
    table
}

main "$@"

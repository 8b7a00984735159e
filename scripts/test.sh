#!/usr/bin/env bash
# Runs every check there is, the real lab in Docker included, on a machine that has nothing but a Rust toolchain.
# One profile (dev) throughout, so that the dependencies, librdkafka above all, are compiled once, and quickly.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stage() { # NAME COMMAND...
    local begin=$SECONDS code=0
    printf '\n=== %s: %s\n' "$1" "${*:2}"
    "${@:2}" || code=$?
    printf '=== %s: %s after %d s\n' "$1" "$([ $code -eq 0 ] && echo passed || echo "FAILED ($code)")" $((SECONDS - begin))
    [ $code -eq 0 ] || exit $code
}

# All containers, networks and volumes of the engine, one a line.
objects() {
    docker ps -a --format 'container {{.Names}}' &&
        docker network ls --format 'network {{.Name}}' &&
        docker volume ls --format 'volume {{.Name}}'
}

nothing_left() {
    local after left
    after=$(objects) || return
    left=$(comm -13 <(sort <<<"$before") <(sort <<<"$after"))
    [ -z "$left" ] || { printf 'left behind by the tests:\n%s\n' "$left"; return 1; }
}

# The binary that the tests run. `cargo run` would compile everything a second time: without what the tests add to the
# features of dependencies, these are others.
khd() {
    local host
    host=$(rustc -vV | sed -n 's/^host: //p') && "${CARGO_TARGET_DIR:-target}/$host/debug/khd" "$@"
}

# Drills on a lab of their own, beside one that a developer may have.
drills() { # FLAVOR [FLAG...] drill run WHICH...
    khd --project khdtest-drills --port-offset 130 --subnet 172.28.13.0/24 --flavor "$@"
}

# The rules of alerts on made-up series, in the lab's own Prometheus image.
alert_rules() {
    docker run --rm --network none --volume "$PWD:/khd:ro" --entrypoint sh khd/prometheus:2 \
        -c '/bin/promtool check rules /khd/compose/monitoring/rules/*.yml && /bin/promtool test rules /khd/tests/prometheus/*.yml'
}

# Every shell script, those of the images too. (SC1091: what one sources lies elsewhere in an image; it is checked itself.)
shell_scripts() {
    grep -rlZE '^(#!.*\b(ba)?sh\b|# shellcheck shell=)' scripts .ci compose | xargs -0 shellcheck --exclude SC1091
}

# In a function, so that an edit of this file during a run cannot cut the run short.
main() {
    stage setup bash scripts/setup.sh --dev
    before=$(objects) || exit
    stage format cargo fmt --check
    stage dependencies cargo deny --locked check -D warnings bans licenses sources
    stage shellcheck shell_scripts
    stage clippy cargo clippy --locked --all-targets -- -D warnings
    stage build cargo build --locked --tests
    # The tests that need the engine find its images there, and fail rather than skip without it.
    stage images khd images build
    stage alerts alert_rules
    stage dashboards bash scripts/check-dashboards.sh types
    stage tests env KHD_TEST_DOCKER=require cargo nextest run --locked
    # With sessions as short as KRaft's: the lab's own, twice as long, are waited for in the tests above.
    stage zookeeper-drills drills zookeeper --set kafka.properties.zookeeper.session.timeout.ms=9000 \
        drill run --tag smoke --junit target/smoke-zookeeper.xml
    stage kraft-drills drills kraft drill run --tag smoke --junit target/smoke-kraft.xml
    stage migration drills zookeeper drill run migrate-to-kraft
    stage doctests cargo test --locked --doc
    # Memory does not depend on the profile as times do: the bound of the audit's is checked here too.
    stage benches cargo test --locked --bench audit -- --short
    stage short-bench bash scripts/bench.sh --short up down produce read watch
    stage micro-benches cargo test --locked --bench micro
    stage docs env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
    stage leftovers nothing_left
    printf '\nall passed in %d s\n' $SECONDS
    [ $SECONDS -le 3600 ] || echo "that is more than the hour in which it should be done"
}

main && exit

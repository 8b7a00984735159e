#!/usr/bin/env bash
# The main job from nothing: engine, images, lab, a second producer, a broker's death, verdicts, nothing left behind.
# Exits with the code of the first command that failed (khd's codes are documented in the README).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

# Ids of whatever carries the label of the lab's project.
objects() {
    local label=label=com.docker.compose.project=khd
    docker ps -aq --filter $label
    docker network ls -q --filter $label
    docker volume ls -q --filter $label
}

finish() {
    local code=$? after=0 left
    trap '' INT TERM
    run khd down || after=$?
    left=$(objects) || after=3
    [ -z "$left" ] || { printf 'demo: left behind: %s\n' "${left//$'\n'/ }" >&2; after=1; }
    [ $code -ne 0 ] || code=$after
    exit "$code"
}

run bash scripts/setup.sh
run cargo build --locked --release
khd=$(cargo build --locked --release --quiet --message-format json |
    jq -r 'select(.reason == "compiler-artifact" and .target.name == "khd" and .executable) | .executable')
PATH=$(dirname "$khd"):$PATH
[ -z "$(objects)" ] || { echo "demo: there is a lab already; 'khd down' would remove it" >&2; exit 3; }
run khd images build

trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
run khd up
run khd scale producer=2
run khd fail kafka2

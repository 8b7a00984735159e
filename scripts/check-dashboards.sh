#!/usr/bin/env bash
# Checks the dashboards: their fields against Grafana's own types, and every query and variable on a real lab, in a drill.
#   scripts/check-dashboards.sh [types|queries]      by default both
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

types() {
    local work=target/dashboards
    mkdir -p $work
    cp tests/grafana/* tests/grafana/.npmrc $work
    (
        cd $work
        npm ci --ignore-scripts --no-audit --no-fund --silent
        node generate.mjs ../../grafana/dashboards
        npx --no-install tsc --project .
    )
}

queries() {
    bash scripts/setup.sh --dev
    cargo run --locked --quiet -- images build
    cargo nextest run --locked -E 'binary(lab) & test(monitoring)'
}

case ${1-all} in
types | queries) "$1" ;;
all) types && queries ;;
*) echo "usage: $0 [types|queries]" >&2; exit 2 ;;
esac

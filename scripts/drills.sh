#!/usr/bin/env bash
# Runs drills on a real lab (all but the soak, or those that are named) and writes what they came to into docs/drills.md.
# Needs khd on the PATH and jq. Exits with khd's code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

doc=docs/drills.md
[ $# -gt 0 ] || mapfile -t names < <(khd drill list --json | jq -r '.[] | select(.name != "soak").name')
code=0
results=$(khd drill run "${@:-${names[@]}}" --json) || code=$?
table=$(jq -r '
    def seconds: if . == null then "" else "\(. / 100 | round / 10) s" end;
    "| drill | verdict | longest gap | time to recover | lost |", "|---|---|---|---|---|",
    (.[] | "| \(.drill) | \(.status) | \(.gap_ms | seconds) | \(.time_to_recover_ms | seconds) | \(.lost // "") |")' <<<"$results")
awk -v table="$table" '
    /<!-- results: begin -->/ { print; print table; skip = 1; next }
    /<!-- results: end -->/ { skip = 0 }
    !skip' "$doc" >"$doc.new"
mv "$doc.new" "$doc"
exit $code

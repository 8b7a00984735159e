#!/usr/bin/env bash
# Runs drills on a real lab: those that are named, or all but the soak, whose results are then written into docs/drills.md.
# Needs khd on the PATH and jq. Exits with khd's code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ $# -eq 0 ] || exec khd drill run "$@"

doc=docs/drills.md
mapfile -t names < <(khd drill list --json | jq -r '.[] | select(.name != "soak").name')
code=0
results=$(khd drill run "${names[@]}" --json) || code=$?
# A run that did not get through all of them tells less than the table that is there.
jq -e --argjson all ${#names[@]} 'length == $all' <<<"$results" >/dev/null || exit $code
table=$(jq -r '
    def seconds: if . == null then "" else "\(. / 100 | round / 10) s" end;
    "| drill | verdict | longest gap | time to recover | lost |", "|---|---|---|---|---|",
    (sort_by(.drill)[] | "| \(.drill) | \(.status) | \(.gap_ms | seconds) | \(.time_to_recover_ms | seconds) | \(.lost // "") |")
    ' <<<"$results")
awk -v table="$table" '
    /<!-- results: begin -->/ { print; print table; skip = 1; next }
    /<!-- results: end -->/ { skip = 0 }
    !skip' "$doc" >"$doc.new"
mv "$doc.new" "$doc"
exit $code

# shellcheck shell=bash disable=SC2034,SC2154 # what the parts share is set by bench.sh and common.sh
# What all benchmarks noted, as JSON, as a table, and as a picture.

table() {
    jq -s --slurpfile rows scripts/bench/rows.json -f scripts/bench/table.jq "$out/values.jsonl" |
        jq --argjson machine "$(machine)" '{machine: $machine, rows: .}' >"$out/results.json"
    jq -r "$about"'
        def figure: if . >= 100 then round elif . >= 10 then . * 10 | round / 10 else . * 100 | round / 100 end | tostring;
        def spread: "\(.median | figure) (\(.least | figure) – \(.most | figure))";
        def sign: {"<=": "≤", ">=": "≥", "<": "<", ">": ">"}[.];
        "\(.machine | about).", "",
        "| what | khd: median (spread) | against | its: median (spread) | ratio | asked for | |", "|---|---|---|---|---|---|---|",
        (.rows[] | [
            .what, "\(.khd | spread) \(.unit)", .against // "–", (if .other then .other | spread else "–" end),
            (if .ratio and .judged then .judged | figure else "–" end), "\(.ratio // .value | sign) \(.reach)",
            (if .reached == null then "not measured" elif .reached then "reached" else "**not reached**" end)
        ] | "| \(join(" | ")) |")
    ' "$out/results.json" | into_docs targets
    [ -n "$short" ] || picture
}

# How many times as fast as its peer khd is, in each row that has one, and how fast it shall be.
picture() {
    jq -r '
        def times(ratio): if .unit == "s" or (.unit | startswith("%")) then 1 / ratio else ratio end;
        def plain: gsub("`"; "") | gsub("[\"_{}^@]"; " ");
        [.rows[] | select(.ratio and .judged and (.row | startswith("watch") | not))] | reverse[]
        | "\"\(.what | plain)\\nagainst \(.against | plain)\" \(times(.judged)) \(times(.reach))"
    ' "$out/results.json" >"$out/picture.data"
    gnuplot -e "data='$out/picture.data'" scripts/bench/picture.gnuplot >images/benchmarks.svg
}

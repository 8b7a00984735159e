# shellcheck shell=bash disable=SC2034,SC2154 # what the parts share is set by bench.sh and common.sh
# How much memory an audit takes.

bench_memory() {
    local machine
    machine=$(machine)
    say "made-up logs, for some minutes"
    {
        jq -r "$about"'about + ".", ""' <<<"$machine"
        "$audit" ${short:+--short} --json "$out/memory.json"
    } | into_docs audit-memory
}

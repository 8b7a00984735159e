#!/usr/bin/env bash
# Measures khd against what people use, both sides in turn, and writes target/bench/NAME.json and the tables in
# docs/benchmarks.md. Fails when something cannot be measured, never for a time.
#
#   scripts/bench.sh [NAME...]    all of them, or those named:
#     memory   memory of audits of 1, 10 and 100 million made-up messages; needs no lab
#     audit    reading a topic as an audit does, against kcat
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

rounds=5
messages=3000000
size=256
partitions=6
lab=(--project bench --port-offset 700 --subnet 172.27.0.0/24)
brokers=127.0.0.1:19792,127.0.0.1:29792,127.0.0.1:39792
out=target/bench

say() { printf 'bench: %s\n' "$*" >&2; }

# The executable of a target, built with optimisation.
built() { # NAME OPTION...
    cargo build --locked --release --message-format json-render-diagnostics "${@:2}" |
        jq -r --arg name "$1" 'select(.reason == "compiler-artifact" and .target.name == $name and .executable) | .executable'
}

finish() {
    local code=$?
    trap '' INT TERM
    # It would wait for brokers that never come.
    [ -z "$producer" ] || kill "$producer" 2>/dev/null || true
    "$khd" down "${lab[@]}" >&2 || code=$?
    exit $code
}

# A lab without a workload of its own, and a topic that khd filled.
lab_with_topic() { # TOPIC
    producer=
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    # It waits for the brokers and makes the topic, for which `up` waits in turn.
    rm -rf "$out/ledger"
    "$khd" produce --brokers "$brokers" --topics "$1" --partitions $partitions --replication-factor 3 \
        --min-insync-replicas 2 --delay 0 --size $size --count $messages --ledger "$out/ledger" >&2 &
    producer=$!
    "$khd" up "${lab[@]}" --set producer.replicas=0 --set consumer.replicas=0 \
        --set "topics.names=[$1]" --set topics.partitions=$partitions >&2
    wait "$producer"
    producer=
}

# Runs both commands in turn and prints a JSON line for each run.
in_turn() { # NAME COMMAND NAME COMMAND
    local round side begun
    for round in $(seq $rounds); do
        for side in 1 3; do
            say "round $round of $rounds: ${!side}"
            begun=$EPOCHREALTIME
            "${@:side+1:1}" >"$out/last"
            jq -nc --arg side "${!side}" --argjson begun "$begun" --argjson ended "$EPOCHREALTIME" \
                '{side: $side, seconds: ($ended - $begun)}'
        done
    done
}

machine() {
    jq -nc --arg cpu "$(sed -n 's/^model name.*: //p;T;q' /proc/cpuinfo)" --argjson cores "$(nproc)" \
        --argjson memory_kib "$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)" --arg kernel "$(uname -r)" \
        --arg system "$(. /etc/os-release && echo "$PRETTY_NAME")" --arg load "$(cut -d' ' -f1-3 /proc/loadavg)" \
        --arg date "$(date -u +%F)" --arg khd "$("$khd" --version) ($(git rev-parse --short HEAD))" \
        --arg kcat "kcat $(kcat -V | grep -o '[0-9.]* (.*librdkafka [0-9.]*' | sed 's/ (.*,/,/')" \
        --arg engine "Docker $(docker version --format '{{.Server.Version}}')" \
        --arg others "$(docker ps -q | wc -l)" '$ARGS.named'
}

# In jq: what `machine` printed, in words.
about='def about: "\(.date), on \(.cores) cores (\(.cpu), \(.memory_kib / 1048576 | round) GiB, \(.system), kernel \(.kernel)), with \(.khd), \(.kcat), \(.engine); load before: \(.load); containers of others: \(.others)";'

# Shows stdin, and puts it between two markers of docs/benchmarks.md.
into_docs() { # MARKER
    local text
    text=$(cat)
    printf '%s\n' "$text"
    TEXT=$text awk -v marker="$1" '
        $0 == "<!-- end of " marker " -->" { inside = 0 }
        !inside
        $0 == "<!-- " marker " -->" { print ENVIRON["TEXT"]; inside = 1 }
    ' docs/benchmarks.md >"$out/benchmarks.md"
    cat "$out/benchmarks.md" >docs/benchmarks.md
}

# Not into a file: writing that would be what is measured.
read_by_kcat() { kcat -C -q -e -o beginning -b "$brokers" -t bench; }
time_kcat() { read_by_kcat >/dev/null; }
time_audit() { "$audit" --brokers "$brokers" --topic bench; }

bench_memory() {
    local machine
    audit=$(built audit --bench audit)
    machine=$(machine)
    say "made-up logs, for some minutes"
    {
        jq -r "$about"'about + ".", ""' <<<"$machine"
        "$audit" --json "$out/memory.json"
    } | into_docs audit-memory
}

bench_audit() {
    local machine count
    audit=$(built audit --bench audit)
    machine=$(machine)
    say "a topic of $messages messages"
    lab_with_topic bench
    count=$(read_by_kcat | wc -l)
    [ "$count" -eq $messages ] || { say "kcat reads $count messages, not $messages"; return 1; }
    in_turn kcat time_kcat audit time_audit >"$out/audit.jsonl"
    # The audit was last: what it read is what it tells.
    jq -e --argjson messages $messages '.records == $messages and .foreign == 0' "$out/last" >/dev/null ||
        { say "the audit did not read $messages messages: $(cat "$out/last")"; return 1; }
    jq -s --argjson machine "$machine" --argjson messages $messages --argjson size $size \
        --argjson partitions $partitions --argjson peak "$(jq .peak_mib "$out/last")" '
        def median: sort | if length % 2 == 1 then .[(length - 1) / 2] else (.[length / 2] + .[length / 2 - 1]) / 2 end;
        def side(name): [.[] | select(.side == name) | $messages / .seconds] | {median: median, least: min, most: max, all: .};
        {machine: $machine, messages: $messages, size: $size, partitions: $partitions,
         kcat: side("kcat"), audit: side("audit"), audit_peak_mib: $peak} | .ratio = .audit.median / .kcat.median
    ' "$out/audit.jsonl" >"$out/audit.json"
    jq -r "$about"'
        def thousands: . / 1000 | round | tostring;
        def row(name): "| \(name) | \(.median | thousands) | \(.least | thousands) – \(.most | thousands) |";
        "\(.messages / 1e6) million messages of \(.size) bytes in \(.partitions) partitions, \(.machine | about).",
        "", "| side | thousand messages a second, median | spread |", "|---|---|---|",
        (.kcat | row("kcat")), (.audit | row("audit")), "",
        "Ratio: **\(.ratio * 100 | round / 100)** (≥ 0.8 is asked for). The audit held \(.audit_peak_mib | round) MiB at most."
    ' "$out/audit.json" | into_docs audit-reading
}

main() {
    local names=("$@") name
    [ $# -gt 0 ] || names=(memory audit)
    for name in "${names[@]}"; do
        declare -F "bench_$name" >/dev/null || { say "there is no benchmark $name; there are: memory audit"; exit 2; }
    done
    bash scripts/setup.sh
    mkdir -p "$out"
    khd=$(built khd --bin khd)
    for name in "${names[@]}"; do "bench_$name"; done
}

main "$@"

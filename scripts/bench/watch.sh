# shellcheck shell=bash disable=SC2034,SC2154 # what the parts share is set by bench.sh and common.sh
# What it takes to watch a lab, and how soon a leader change is seen.

# Shares of a core, in percent, that a process takes in each of so many spans of so many seconds.
shares() { # PID SPANS SECONDS
    local ticks before span hertz
    hertz=$(getconf CLK_TCK)
    before=$(awk '{ print $14 + $15 }' "/proc/$1/stat")
    for span in $(seq "$2"); do
        sleep "$3" # while it works
        ticks=$(awk '{ print $14 + $15 }' "/proc/$1/stat")
        jq -n "($ticks - $before) / $hertz / $3 * 100"
        before=$ticks
    done
}

# Watches a lab of so many partitions as the live page does.
watching() { # ROW TOPICS PARTITIONS
    local row=$1 names share
    names=$(seq -s , -f 'test-%g' "$2")
    "$khd" up "${lab[@]}" --timeout 900s --set "topics.names=[$names]" --set topics.partitions="$3" --set monitoring.enabled=false \
        --set kafka.heap=1g --set kafka.memory=3g >&2
    "$khd" serve "${lab[@]:0:2}" --port 8788 >"$out/serve" 2>&1 &
    local watcher=$!
    begun+=("$watcher")
    sleep 5 # until it has seen all of it
    for share in $(shares $watcher "$rounds" "$span"); do
        note "$row" khd "$share"
    done
    kill $watcher
    wait $watcher || true
    "$khd" down "${lab[@]}" >&2
}

# How many milliseconds after the new leader logged it khd saw each leader change of a drill.
leader_changes() {
    local broker
    rm -rf "$out/runs"
    "$khd" fail kafka2 "${lab[@]:0:2}" --runs "$PWD/$out/runs" >"$out/last" 2>&1 || { tail -n 20 "$out/last" >&2; return 1; }
    for broker in kafka1 kafka2 kafka3; do
        docker logs "bench-$broker-1" 2>&1
    done | sed -nE 's/^\[([0-9-]+) ([0-9:]+),([0-9]+)\].* Leader ([^ ]+)-([0-9]+) with topic id .* starts at leader epoch ([0-9]+) .*/\1T\2Z \3 \4 \5 \6/p' |
        jq -R 'split(" ") | {key: .[2:] | join(" "), value: ((.[0] | fromdate) * 1000 + (.[1] | tonumber))}' |
        jq -s from_entries >"$out/log.json"
    # The first that anybody told khd of a leader's epoch. Those from before the run began are in the log alone.
    jq -s --slurpfile log "$out/log.json" '
        def ms: capture("^(?<second>[^.Z]+)(\\.(?<fraction>[0-9]+))?Z$")
            | ((.second + "Z") | fromdate) * 1000 + ("0." + (.fraction // "0") | tonumber) * 1000;
        (.[0].wall | ms) as $begun
        | [.[] | select(.event == "partition") | {key: "\(.topic) \(.partition) \(.leader_epoch)", at: (.wall | ms)}]
        | group_by(.key)[] | min_by(.at) | . + {logged: $log[0][.key]} | select(.logged and .logged > $begun) | .at - .logged
    ' "$out"/runs/*/timeline.jsonl
}

bench_watch() {
    local span=10 late
    forget watch watch-1000 watch-10000 leader-change
    cleanly
    "$khd" images build >&2
    [ -z "$short" ] || span=1
    watching watch 5 6
    if [ -z "$short" ]; then
        watching watch-1000 10 100
        watching watch-10000 10 1000
        as_many_times watch-1000 1000
        as_many_times watch-10000 10000
    fi
    "$khd" up "${lab[@]}" --set monitoring.enabled=false >&2
    for late in $(leader_changes); do
        note leader-change khd "$late"
    done
    "$khd" down "${lab[@]}" >&2
}

# What watching would take if it grew as the number of partitions does.
as_many_times() { # ROW PARTITIONS
    local share
    for share in $(jq 'select(.row == "watch").value' "$out/values.jsonl"); do
        note "$1" peer "$(jq -n "$share * $2 / 30")"
    done
}

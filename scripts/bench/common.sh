# shellcheck shell=bash disable=SC2034,SC2154 # what the parts share is set by bench.sh and common.sh
# Sourced by scripts/bench.sh: what every benchmark needs.

lab=(--project bench --port-offset 700 --subnet 172.27.0.0/24)
brokers=127.0.0.1:19792,127.0.0.1:29792,127.0.0.1:39792
size=256
partitions=6

say() { printf 'bench: %s\n' "$*" >&2; }

# Makes khd and the audit's benchmark, in one go: apart, dependencies would have other features and be compiled twice. A short
# run takes the profile that the tests compile anyway.
build() {
    local profile=(--release) made
    [ -z "$short" ] || profile=()
    made=$(cargo build --locked "${profile[@]}" --bin khd --bench audit --message-format json-render-diagnostics)
    khd=$(executable khd <<<"$made")
    audit=$(executable audit <<<"$made")
}

executable() { # TARGET
    jq -r --arg name "$1" 'select(.reason == "compiler-artifact" and .target.name == $name and .executable) | .executable'
}

# Notes what one side of a row took or reached in one round; rows are those of scripts/bench/rows.json.
note() { # ROW SIDE VALUE
    say "$1, $2: $3"
    jq -nc --arg row "$1" --arg side "$2" --argjson value "$3" '$ARGS.named' >>"$out/values.jsonl"
}

# Forgets what earlier runs noted of rows.
forget() { # ROW...
    touch "$out/values.jsonl"
    jq -c 'select(.row | IN($ARGS.positional[]) | not)' "$out/values.jsonl" --args "$@" >"$out/values.new"
    mv "$out/values.new" "$out/values.jsonl"
}

# How many seconds a command takes; what it says is shown only when it fails. Its output is left in $out/last.
seconds() { # COMMAND...
    local begun=$EPOCHREALTIME ended
    "$@" >"$out/last" 2>"$out/said" </dev/null || {
        say "failed: $*"
        tail -n 20 "$out/last" "$out/said" >&2
        return 1
    }
    ended=$EPOCHREALTIME
    jq -n "$ended - $begun"
}

# Notes how many seconds a command takes.
timed() { # ROW SIDE COMMAND...
    local took
    took=$(seconds "${@:3}")
    note "$1" "$2" "$took"
}

# Notes how many thousand things a second a command gets through.
paced() { # ROW SIDE THINGS COMMAND...
    local took
    took=$(seconds "${@:4}")
    note "$1" "$2" "$(jq -n "$3 / $took / 1000")"
}

# Whatever a benchmark has left when it ends, however it ends.
begun=()
finish() {
    local code=$? pid
    trap '' INT TERM
    for pid in "${begun[@]}"; do
        kill "$pid" 2>/dev/null || true
    done
    "$khd" down "${lab[@]}" >&2 || code=$?
    exit $code
}
cleanly() {
    trap finish EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# A lab without a workload of its own, and a topic that khd filled.
lab_with_topic() { # TOPIC MESSAGES
    cleanly
    # It waits for the brokers and makes the topic, for which `up` waits in turn.
    rm -rf "$out/ledger"
    "$khd" produce --brokers "$brokers" --topics "$1" --partitions "$partitions" --replication-factor 3 \
        --min-insync-replicas 2 --delay 0 --size "$size" --count "$2" --ledger "$out/ledger" >&2 &
    local producer=$!
    begun+=("$producer")
    "$khd" up "${lab[@]}" --set producer.replicas=0 --set consumer.replicas=0 --set monitoring.enabled=false \
        --set "topics.names=[$1]" --set topics.partitions=$partitions >&2
    wait "$producer"
}

machine() {
    jq -nc --arg cpu "$(sed -n 's/^model name.*: //p;T;q' /proc/cpuinfo)" --argjson cores "$(nproc)" \
        --argjson memory_kib "$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)" --arg kernel "$(uname -r)" \
        --arg system "$(. /etc/os-release && echo "$PRETTY_NAME")" --arg load "$(cut -d' ' -f1-3 /proc/loadavg)" \
        --arg date "$(date -u +%F)" --arg khd "$("$khd" --version) ($(git describe --always --dirty))" \
        --arg kcat "kcat $(kcat -V | grep -o '[0-9.]* (.*librdkafka [0-9.]*' | sed 's/ (.*,/,/')" \
        --arg compose "$(docker compose version --short 2>/dev/null || echo none)" \
        --arg engine "Docker $(docker version --format '{{.Server.Version}}')" \
        --arg others "$(docker ps -q | wc -l)" '$ARGS.named'
}

# In jq: what `machine` printed, in words.
about='def about: "\(.date), on \(.cores) cores (\(.cpu), \(.memory_kib / 1048576 | round) GiB, \(.system), kernel \(.kernel)), with \(.khd), \(.engine), Compose \(.compose), \(.kcat); load before: \(.load); containers of others: \(.others)";'

# Shows stdin, and puts it between two markers of docs/benchmarks.md; a short run only shows it.
into_docs() { # MARKER
    local text
    text=$(cat)
    printf '%s\n' "$text"
    [ -z "$short" ] || return 0
    TEXT=$text awk -v marker="$1" '
        $0 == "<!-- end of " marker " -->" { inside = 0 }
        !inside
        $0 == "<!-- " marker " -->" { print ENVIRON["TEXT"]; inside = 1 }
    ' docs/benchmarks.md >"$out/benchmarks.md"
    cat "$out/benchmarks.md" >docs/benchmarks.md
}

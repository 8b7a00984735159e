# shellcheck shell=bash disable=SC2034,SC2154 # what the parts share is set by bench.sh and common.sh
# Bringing a lab up and down: khd, Compose v2 with the file that khd renders, and the demo's way, in turn.

# What Kafka's own scripts start a JVM with.
plain="-server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent"

# Grafana and the manager would be pulled, or told as missing, when all else is done: none of the sides starts them.
wanted=("${lab[@]}" --set monitoring.ui=false)

# The demo's way: the same topology and images, on JVMs as Kafka's scripts start them, without class archives and without
# the metrics that the demo did not have.
demo_file() {
    docker compose --file "$out/compose.yaml" config --format json | jq --arg flags "$plain" '
        .services[] |= if .image | test("^khd/(kafka|zookeeper):") then
            .environment.KAFKA_JVM_PERFORMANCE_OPTS = $flags
            | del(.environment.JMX_EXPORTER_PORT)
            # A device in its place: what is no file is no archive.
            | .volumes += [{type: "bind", source: "/dev/null",
                target: (if .image | test("kafka:") then "/opt/kafka/zookeeper.jsa" else "/opt/zookeeper/zookeeper.jsa" end)}]
        else . end'
}

compose() { # FILE COMMAND...
    docker compose --progress quiet --file "$1" "${@:2}"
}

bench_up() {
    local peers=yes round
    docker compose version >/dev/null 2>&1 || {
        say "there is no Compose v2: that peer is missing"
        peers=
    }
    forget up again down demo
    cleanly
    "$khd" images build >&2
    "$khd" render "${wanted[@]}" >"$out/compose.yaml"
    [ -z "$peers" ] || demo_file >"$out/demo.json"
    for round in $(seq "$rounds"); do
        say "round $round of $rounds"
        timed up khd "$khd" up "${wanted[@]}"
        timed again khd "$khd" up "${wanted[@]}"
        timed down khd "$khd" down "${wanted[@]}"
        [ -n "$peers" ] || continue
        timed up peer compose "$out/compose.yaml" up --detach --wait
        timed again peer compose "$out/compose.yaml" up --detach --wait
        timed down peer compose "$out/compose.yaml" down --volumes
        timed demo peer compose "$out/demo.json" up --detach --wait
        seconds "$khd" down "${lab[@]}" >/dev/null
    done
}

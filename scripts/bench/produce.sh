# shellcheck shell=bash disable=SC2034,SC2154 # what the parts share is set by bench.sh and common.sh
# Producing flat out, against librdkafka's own benchmark and Kafka's; what a producer and its image take.

# librdkafka's rdkafka_performance, from the very source that khd is built with, where that was configured.
rdkafka_performance() {
    local library source
    library=$(find "$(dirname "$khd")/build" -path '*/rdkafka-sys-*/src/librdkafka.a' | head -n 1)
    source=${library%/src/librdkafka.a}
    cc -O2 -I "$source/src" -o "$out/rdkafka_performance" "$source/examples/rdkafka_performance.c" "$library" -lz -lm -lpthread -ldl
}

produce_khd() {
    rm -rf "$out/ledger"
    "$khd" produce --brokers "$brokers" --topics bench --partitions "$partitions" --delay 0 --size "$size" \
        --count "$1" --ledger "$out/ledger"
}

# With what khd sets for its own client, as far as it has to do with speed.
produce_rdkafka() {
    "$out/rdkafka_performance" -P -q -t bench -b "$brokers" -s "$size" -c "$1" -a -1 -X enable.idempotence=true \
        -X queue.buffering.max.messages=100000 -X queue.buffering.max.kbytes=131072
}

# As Kafka's own script starts it.
produce_java() {
    # shellcheck disable=SC2086 # flags
    docker run --rm --network host --entrypoint java "$(image kafka)" -Xmx512M $plain -cp '/opt/kafka/libs/*' \
        org.apache.kafka.tools.ProducerPerformance --topic bench --num-records "$1" --record-size "$size" --throughput -1 \
        --producer-props bootstrap.servers="$brokers" acks=all enable.idempotence=true
}

# The lab's image of a kind.
image() { # KIND
    "$khd" render "${lab[@]}" | sed -n "s|^ *image: \(khd/$1:.*\)|\1|p" | head -n 1
}

# The most memory that a producer took which sends as those of the lab do, in MB.
producer_memory() {
    local producer peak
    rm -rf "$out/ledger"
    "$khd" produce --brokers "$brokers" --topics bench --partitions "$partitions" --ledger "$out/ledger" >"$out/last" 2>&1 &
    producer=$!
    begun+=("$producer")
    sleep "$1" # how long it sends
    peak=$(awk '$1 == "VmHWM:" { print $2 }' "/proc/$producer/status") # in KiB
    kill "$producer"
    wait "$producer"
    jq -n "$peak * 1024 / 1e6"
}

bench_produce() {
    local round messages=1000000 few=200000 while=60 memory
    [ -z "$short" ] || messages=50000 few=5000 while=3
    forget produce perf-test image producer-memory
    rdkafka_performance
    lab_with_topic bench 1000
    note image khd "$(docker image inspect --format '{{.Size}}' "$(image khd)" | jq '. / 1e6')"
    for round in $(seq "$rounds"); do
        say "round $round of $rounds"
        paced produce khd $messages produce_khd $messages
        paced produce peer $messages produce_rdkafka $messages
        paced perf-test peer $few produce_java $few
    done
    memory=$(producer_memory $while)
    note producer-memory khd "$memory"
    "$khd" down "${lab[@]}" >&2
}

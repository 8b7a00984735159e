# shellcheck shell=bash disable=SC2034,SC2154 # what the parts share is set by bench.sh and common.sh
# Reading: a consumer and an audit against kcat, and judging what was recorded.

# Not into a file: writing that would be what is measured.
read_kcat() { kcat -C -q -e -o beginning -b "$brokers" -t bench >/dev/null; }
read_audit() { "$audit" --brokers "$brokers" --topic bench; }
read_khd() { # MESSAGES
    rm -rf "$out/ledger"
    # A group of its own: it begins where the log does.
    "$khd" consume --brokers "$brokers" --topics bench --group "bench-$EPOCHREALTIME" --count "$1" --ledger "$out/ledger"
}

bench_read() {
    local round messages=3000000 few=1000000 count judged
    [ -z "$short" ] || messages=50000 few=60000
    forget consume audit judge-messages judge-events
    for round in $(seq "$rounds"); do
        # At the lab's own pace, which takes a line of a ledger for nearly every message.
        judged=$("$audit" --messages $few --shape slow --judge 1000)
        note judge-messages khd "$(jq '.messages / .seconds / 1e6' <<<"$judged")"
        judged=$("$audit" --messages 1000 --shape slow --judge $few)
        note judge-events khd "$(jq '.events / .seconds / 1e6' <<<"$judged")"
    done
    say "a topic of $messages messages"
    lab_with_topic bench $messages
    count=$(kcat -C -q -e -o beginning -b "$brokers" -t bench | wc -l)
    [ "$count" -eq $messages ] || { say "kcat reads $count messages, not $messages"; return 1; }
    for round in $(seq "$rounds"); do
        say "round $round of $rounds"
        paced consume khd $messages read_khd $messages
        paced consume peer $messages read_kcat
        paced audit khd $messages read_audit
        jq -e --argjson messages $messages '.records == $messages and .foreign == 0' "$out/last" >/dev/null ||
            { say "the audit did not read $messages messages: $(cat "$out/last")"; return 1; }
    done
    "$khd" down "${lab[@]}" >&2
}

//! Histories: clean ones are valid, each anomaly is found where it is planted and nothing else is, what cannot be read
//! is refused with its line, and no bytes make the reader panic.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

mod generate;

use std::collections::BTreeMap;

use assert_cmd::Command;
use khd::history::{self, Judged};
use khd::verdicts::checks;
use proptest::prelude::*;
use serde_json::{Value, json};

use generate::History;

fn judged(text: &str) -> Judged {
    history::judge(&history::read(text.as_bytes()).unwrap())
}

/// How many anomalies of each kind were found.
fn found(judged: &Judged) -> BTreeMap<&str, usize> {
    judged
        .anomalies
        .iter()
        .map(|(check, list)| (*check, list.len()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_clean_history_is_valid_and_tells_what_is_unseen_and_redelivered(
        seed: u64,
        steps in 0..150usize,
        final_reads: bool,
    ) {
        let history = History::clean(seed, steps, final_reads);
        let judged = judged(&history.text());
        let unseen = history.unseen();
        let expected = if unseen == 0 { BTreeMap::new() } else { BTreeMap::from([("unseen", unseen)]) };
        prop_assert_eq!(found(&judged), expected, "{}", history.text());
        prop_assert!(judged.valid);
        prop_assert_eq!(judged.counts["redelivery"], history.redelivered());
    }

    #[test]
    fn each_anomaly_is_found_by_its_check_and_by_no_other(
        seed: u64,
        steps in 20..150usize,
        which in 0..checks::ANOMALIES.len() + 1,
    ) {
        let planted = checks::ANOMALIES.get(which).map_or(checks::UNSEEN.id(), |check| check.id());
        let mut history = History::clean(seed, steps, true);
        let count = history.plant(planted);
        prop_assume!(count.is_some());
        let judged = judged(&history.text());
        let mut others = found(&judged);
        let told = others.remove(planted);
        if planted == "unseen" {
            prop_assert!(judged.valid && told > Some(0), "{}", history.text());
        } else {
            prop_assert_eq!(told, count, "{}: {}", planted, history.text());
            prop_assert!(!judged.valid);
        }
        others.remove("unseen");
        prop_assert_eq!(others, BTreeMap::new(), "beside {}: {}", planted, history.text());
    }

    #[test]
    fn the_order_of_lines_does_not_matter_where_times_differ(seed: u64, steps in 0..80usize) {
        let mut history = History::clean(seed, steps, true);
        // Times that never tie.
        for (number, line) in history.lines.iter_mut().enumerate() {
            for name in ["start", "end", "at"] {
                if let Some(time) = line.get(name).and_then(Value::as_f64) {
                    let later = if name == "end" { 0.0005 } else { 0.0 };
                    line[name] = json!(time + number as f64 * 0.001 + later);
                }
            }
        }
        let straight = judged(&history.text());
        history.lines.reverse();
        prop_assert_eq!(judged(&history.text()), straight);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = history::read(bytes.as_slice());
    }

    #[test]
    fn a_history_with_bytes_that_flipped_is_judged_or_refused_with_its_line(
        seed: u64,
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = History::clean(seed, 30, true).text().into_bytes();
        prop_assume!(!bytes.is_empty());
        for (index, byte) in flips {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        match history::read(bytes.as_slice()) {
            Ok(messages) => drop(history::judge(&messages)),
            Err(error) => prop_assert!(error.line >= 1 && !error.reason.is_empty()),
        }
    }

    #[test]
    fn numbers_at_the_edges_are_judged_or_refused(
        offsets in proptest::collection::vec(prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(-1), Just(0), Just((1 << 60) - 1), any::<i64>()], 6),
        times in proptest::collection::vec(prop_oneof![Just(f64::MAX), Just(f64::MIN), Just(0.0), -1e9..1e9], 4),
    ) {
        let lines = [
            json!({"op": "send", "process": "p", "topic": "t", "partition": 0, "value": "1", "result": "ok",
                   "offset": offsets[0], "start": times[0], "end": times[1]}),
            json!({"op": "poll", "process": "c", "start": times[2], "end": times[3],
                   "records": [{"topic": "t", "partition": 0, "offset": offsets[1], "value": "1"}]}),
            json!({"op": "commit", "process": "c", "at": times[0], "offsets": [["t", 0, offsets[2]]]}),
            json!({"op": "read", "topic": "t", "partition": 0, "from": offsets[3], "to": offsets[4],
                   "records": [{"offset": offsets[5], "value": "2"}]}),
        ];
        for subset in 0..16u32 {
            let text: String = lines.iter().enumerate()
                .filter(|(index, _)| subset & (1 << index) != 0)
                .map(|(_, line)| format!("{line}\n")).collect();
            if let Ok(messages) = history::read(text.as_bytes()) {
                history::judge(&messages);
            }
        }
    }
}

fn send(process: &str, value: &str, offset: i64, start: f64, end: f64) -> Value {
    json!({"op": "send", "process": process, "topic": "t", "partition": 0, "value": value, "result": "ok",
           "offset": offset, "start": start, "end": end})
}

fn poll(process: &str, at: f64, records: &[(i64, &str)]) -> Value {
    let record =
        |(offset, value): &(i64, &str)| json!({"topic": "t", "partition": 0, "offset": offset, "value": value});
    let records: Vec<Value> = records.iter().map(record).collect();
    json!({"op": "poll", "process": process, "start": at, "end": at, "records": records})
}

fn read(from: i64, to: i64, records: &[(i64, &str)]) -> Value {
    let record = |(offset, value): &(i64, &str)| json!({"offset": offset, "value": value});
    let records: Vec<Value> = records.iter().map(record).collect();
    json!({"op": "read", "topic": "t", "partition": 0, "from": from, "to": to, "records": records})
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn anomalies(lines: &[Value]) -> Value {
    serde_json::to_value(judged(&text(lines)).anomalies).unwrap()
}

#[test]
fn a_value_that_was_polled_once_and_is_missing_in_the_final_read_is_lost() {
    let unknown = json!({"op": "send", "process": "p", "topic": "t", "value": "1", "result": "unknown", "start": 1.0, "end": 2.0});
    let lines = [unknown, poll("c", 3.0, &[(0, "1")]), read(0, 5, &[])];
    assert_eq!(
        anomalies(&lines),
        json!({"lost-write": [{"topic": "t", "partition": 0, "value": "1", "offset": 0}]})
    );
}

#[test]
fn without_a_final_read_what_was_polled_is_the_log_up_to_the_highest_offset() {
    let lines = [
        send("p", "1", 0, 1.0, 1.1),
        send("p", "2", 1, 2.0, 2.1),
        send("p", "3", 2, 3.0, 3.1),
        send("p", "4", 3, 4.0, 4.1),
        poll("c", 5.0, &[(0, "1"), (2, "3")]),
    ];
    assert_eq!(
        anomalies(&lines),
        json!({
            "lost-write": [{"topic": "t", "partition": 0, "value": "2", "offset": 1}],
            "unseen": [{"topic": "t", "partition": 0, "value": "4", "offset": 3}],
        })
    );
}

#[test]
fn sends_below_the_final_read_are_not_judged_and_holes_are_legal_unless_an_ok_send_names_them() {
    let lines = [
        send("p", "1", 3, 1.0, 1.1),
        send("p", "2", 12, 2.0, 2.1),
        read(10, 20, &[(12, "2"), (15, "x")]),
    ];
    assert_eq!(
        anomalies(&lines),
        json!({"phantom": [{"topic": "t", "partition": 0, "value": "x", "offset": 15}]})
    );
    // It is in the log, but not where it was acknowledged, and there is nothing.
    let moved = [send("p", "2", 12, 2.0, 2.1), read(10, 20, &[(14, "2")])];
    assert_eq!(
        anomalies(&moved),
        json!({"inconsistent-offset": [{"topic": "t", "partition": 0, "offset": 12, "values": ["2"]}]})
    );
}

#[test]
fn an_acknowledged_offset_that_holds_another_value_is_inconsistent_and_the_value_lost_if_it_is_nowhere() {
    let lines = [
        send("p", "1", 0, 1.0, 1.1),
        send("q", "2", 1, 1.0, 1.1),
        read(0, 2, &[(0, "2"), (1, "1")]),
    ];
    let swapped = anomalies(&lines);
    assert_eq!(swapped["inconsistent-offset"].as_array().unwrap().len(), 2);
    assert_eq!(swapped.as_object().unwrap().len(), 1, "{swapped}");
    let overwritten = [
        send("p", "1", 0, 1.0, 1.1),
        send("q", "2", 0, 1.0, 1.1),
        read(0, 2, &[(0, "2")]),
    ];
    assert_eq!(
        anomalies(&overwritten),
        json!({
            "inconsistent-offset": [{"topic": "t", "partition": 0, "offset": 0, "values": ["1", "2"]}],
            "lost-write": [{"topic": "t", "partition": 0, "value": "1", "offset": 0}],
        })
    );
}

#[test]
fn two_members_that_were_given_different_values_at_one_offset_are_told() {
    let lines = [
        send("p", "1", 0, 1.0, 1.1),
        send("q", "2", 1, 1.0, 1.1),
        poll("a", 2.0, &[(0, "1"), (1, "2")]),
        poll("b", 2.0, &[(0, "2")]),
    ];
    let told = anomalies(&lines);
    assert_eq!(told["inconsistent-offset"][0]["values"], json!(["1", "2"]));
    // Without a final read both places count.
    assert_eq!(told["duplicate"][0]["offsets"], json!([0, 1]));
}

#[test]
fn a_value_in_two_partitions_of_its_topic_is_a_duplicate() {
    let unknown = json!({"op": "send", "process": "p", "topic": "t", "value": "1", "result": "unknown", "start": 1.0, "end": 2.0});
    let mut other = read(0, 9, &[(4, "1")]);
    other["partition"] = json!(1);
    let told = anomalies(&[unknown, read(0, 9, &[(3, "1")]), other]);
    assert_eq!(told["duplicate"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told.as_object().unwrap().len(), 1, "{told}");
}

#[test]
fn a_value_that_lies_in_another_partition_than_it_was_sent_to_is_what_its_send_makes_of_it() {
    let sent = |result: &str| {
        let mut send = send("p", "1", 0, 1.0, 1.1);
        send["result"] = json!(result);
        let mut other = read(0, 9, &[(4, "1")]);
        other["partition"] = json!(1);
        anomalies(&[send, read(0, 9, &[]), other])
    };
    assert_eq!(
        sent("fail"),
        json!({"aborted-read": [{"topic": "t", "partition": 1, "value": "1", "offset": 4}]})
    );
    assert_eq!(sent("unknown"), json!({}));
    assert_eq!(
        sent("ok"),
        json!({"lost-write": [{"topic": "t", "partition": 0, "value": "1", "offset": 0}]})
    );

    // Twice in places where nobody acknowledged it is a duplicate all the same.
    let elsewhere = |partition: i32, records: &[(i64, &str)]| {
        let mut read = read(0, 9, records);
        read["partition"] = json!(partition);
        read
    };
    let twice = anomalies(&[
        send("p", "1", 0, 1.0, 1.1),
        elsewhere(1, &[(0, "1")]),
        elsewhere(2, &[(3, "1")]),
    ]);
    assert_eq!(twice["duplicate"].as_array().unwrap().len(), 1, "{twice}");
    let within = anomalies(&[send("p", "1", 0, 1.0, 1.1), elsewhere(1, &[(0, "1"), (1, "1")])]);
    assert_eq!(within["duplicate"][0]["offsets"], json!([0, 1]));
    // And what was polled there once, and is gone from there, is lost.
    let mut polled = poll("c", 2.0, &[(0, "1")]);
    polled["records"][0]["partition"] = json!(1);
    let gone = anomalies(&[send("p", "1", 5, 1.0, 1.1), polled, elsewhere(1, &[])]);
    assert_eq!(
        gone["lost-write"],
        json!([{"topic": "t", "partition": 1, "value": "1", "offset": 0}])
    );
    assert!(gone.get("phantom").is_none(), "{gone}");
}

#[test]
fn one_offset_with_two_values_is_told_also_where_one_of_them_belongs_to_another_partition() {
    let mut here = send("p", "1", 5, 1.0, 1.1);
    here["partition"] = json!(1);
    let other = send("p", "2", 0, 2.0, 2.1);
    let mut first = poll("c", 3.0, &[(5, "1")]);
    first["records"][0]["partition"] = json!(1);
    let mut second = poll("d", 4.0, &[(5, "2")]);
    second["records"][0]["partition"] = json!(1);
    let told = anomalies(&[here, other, poll("c", 3.0, &[(0, "2")]), first, second]);
    assert_eq!(
        told["inconsistent-offset"],
        json!([{"topic": "t", "partition": 1, "offset": 5, "values": ["1", "2"]}])
    );
    assert_eq!(told["duplicate"].as_array().unwrap().len(), 1, "{told}");
}

#[test]
fn a_producer_whose_messages_lie_in_any_order_is_judged_in_time_that_grows_with_their_number() {
    // Evens first: quadratic, this would take minutes.
    let order = (0..30_000).step_by(2).chain((1..30_000).step_by(2));
    let mut lines = String::new();
    let mut records = Vec::new();
    for (offset, number) in order.enumerate() {
        let value = number.to_string();
        lines += &format!(
            "{}\n",
            send("p", &value, offset as i64, f64::from(number), f64::from(number) + 0.5)
        );
        records.push(json!({"offset": offset, "value": value}));
    }
    lines +=
        &json!({"op": "read", "topic": "t", "partition": 0, "from": 0, "to": 30_000, "records": records}).to_string();
    let judged = judged(&lines);
    assert_eq!(judged.anomalies["reorder"].len(), 14_999);
}

#[test]
fn positions_count_from_each_assignment_and_revoked_partitions_are_forgotten() {
    let moved = |op: &str, at: f64| json!({"op": op, "process": "c", "at": at, "partitions": [["t", 0]]});
    let sends: Vec<Value> = (0..6)
        .map(|n| send("p", &n.to_string(), n, n as f64, n as f64 + 0.5))
        .collect();
    let log = read(0, 6, &[(0, "0"), (1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5")]);
    let polls = |between: Vec<Value>| {
        let mut lines = sends.clone();
        lines.push(moved("assign", 10.0));
        lines.push(poll("c", 11.0, &[(0, "0"), (1, "1")]));
        lines.extend(between);
        lines.push(poll("c", 15.0, &[(4, "4")]));
        lines.push(log.clone());
        anomalies(&lines)
    };
    let skip = json!({"poll-skip": [{"topic": "t", "partition": 0, "process": "c", "from": 1, "to": 4, "skipped": 2}]});
    assert_eq!(polls(Vec::new()), skip);
    assert_eq!(polls(vec![moved("revoke", 12.0), moved("assign", 13.0)]), json!({}));
    // Another partition's assignment changes nothing for this one.
    let other = json!({"op": "assign", "process": "c", "at": 12.0, "partitions": [["t", 1]]});
    assert_eq!(polls(vec![other]), skip);
}

#[test]
fn at_the_same_time_the_files_order_says_which_acknowledgement_came_before_which_send() {
    let before = [
        send("p", "1", 5, 1.0, 2.0),
        send("q", "2", 4, 2.0, 3.0),
        read(0, 9, &[(4, "2"), (5, "1")]),
    ];
    assert_eq!(
        anomalies(&before),
        json!({"offset-monotonicity": [{"topic": "t", "partition": 0, "value": "2", "offset": 4, "after": 5}]})
    );
    let after = [before[1].clone(), before[0].clone(), before[2].clone()];
    assert_eq!(anomalies(&after), json!({}));
}

#[test]
fn what_is_no_operation_is_refused_with_its_line_and_why() {
    let good = send("p", "1", 0, 1.0, 1.1).to_string();
    for (line, says) in [
        ("nonsense", "no JSON object"),
        ("{nonsense}", "key must be a string"),
        ("{\"op\":\"sned\"}", "sned"),
        ("[]", "no JSON object"),
        (
            r#"{"op":"send","process":"p","topic":"t","partition":0,"value":"9","result":"ok","start":1,"end":2}"#,
            "needs its offset",
        ),
        (
            r#"{"op":"send","process":"p","topic":"t","value":"9","result":"ok","offset":1,"start":1,"end":2}"#,
            "needs its partition",
        ),
        (
            r#"{"op":"send","process":"p","topic":"t","partition":0,"value":"1","result":"fail","start":1,"end":2}"#,
            "in line 1",
        ),
        (
            r#"{"op":"send","process":"p","topic":"t","partition":0,"value":"9","result":"fail","start":3,"end":2}"#,
            "before it starts",
        ),
        (
            r#"{"op":"send","process":"p","topic":"t","partition":-1,"value":"9","result":"fail","start":1,"end":2}"#,
            "no partition",
        ),
        (r#"{"op":"poll","process":"c","start":1,"end":2}"#, "records"),
        (
            r#"{"op":"read","topic":"t","partition":0,"from":5,"to":1,"records":[]}"#,
            "before that",
        ),
        (
            r#"{"op":"read","topic":"t","partition":0,"from":0,"to":1,"records":[{"offset":1,"value":"1"}]}"#,
            "a record at 1",
        ),
        (
            r#"{"op":"commit","process":"c","at":1,"offsets":[["t",0,-5]]}"#,
            "no offset",
        ),
    ] {
        let error = history::read(format!("{good}\n\n{line}\n").as_bytes()).unwrap_err();
        assert_eq!(error.line, 3, "{line}");
        assert!(error.reason.contains(says), "{line}: {error}");
    }
}

fn check(history: &str, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::cargo_bin("khd").unwrap();
    let output = command
        .arg("check")
        .arg("-")
        .args(arguments)
        .write_stdin(history)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn the_command_exits_with_0_1_or_2_and_prints_one_json_object() {
    let clean = text(&[send("p", "17", 42, 1.0, 1.1), read(0, 100, &[(42, "17")])]);
    let (code, out, _) = check(&clean, &["--json"]);
    assert_eq!(
        (code, out.trim()),
        (0, r#"{"valid":true,"anomalies":{},"counts":{"redelivery":0}}"#)
    );

    let lost = text(&[send("p", "17", 42, 1.0, 1.1), read(0, 100, &[])]);
    let (code, out, _) = check(&lost, &["--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["valid"]), (1, &json!(false)));
    assert_eq!(told["anomalies"]["lost-write"][0]["value"], "17");
    let (code, out, _) = check(&lost, &[]);
    assert_eq!(code, 1);
    assert!(out.contains("lost-write: 1") && out.contains("not valid"), "{out}");

    let unseen = text(&[send("p", "17", 142, 1.0, 1.1), read(0, 100, &[])]);
    let (code, out, _) = check(&unseen, &["--json"]);
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &told["valid"]), (0, &json!(true)));
    assert_eq!(told["anomalies"]["unseen"][0]["offset"], 142);

    let (code, out, err) = check(&format!("{clean}oops\n"), &["--json"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("line 3"), "{err}");
}

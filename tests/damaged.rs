//! Run folders that are damaged or made up: numbers at the edges in ledgers and the log are judged or refused, without a
//! panic and without work for each of the messages that they claim.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic, as tests do")]

use std::path::Path;
use std::time::Duration;

use khd::settings::Settings;
use khd::state::RunFolder;
use khd::timeline::event::{Kind, SCHEMA};
use khd::timeline::limits::Limits;
use khd::timeline::record::Timeline;
use khd::topology::Topology;
use khd::verdicts::evidence::Evidence;
use khd::verdicts::judge;
use proptest::prelude::*;
use serde_json::{Value, json};

/// A run's folder with a timeline, one ledger of a producer, one of a consumer, and a log.
fn run(folder: &Path, producer: &[Value], consumer: &[Value], log: &Value) -> RunFolder {
    let run = RunFolder::create(folder, "khd", "test").unwrap();
    let timeline = Timeline::create(&run.timeline()).unwrap();
    let started = Kind::RunStarted {
        schema: SCHEMA,
        khd: "test".into(),
        command: "khd fail kafka2".into(),
        expectation: Topology::of(&Settings::default())
            .expectation(Duration::from_secs(18))
            .into(),
        limits: Limits::new(),
        skip: std::collections::BTreeMap::new(),
    };
    timeline.emit("khd", started);
    let injected = Kind::FaultInjected {
        id: 1,
        fault: "stop".into(),
        targets: vec!["kafka2".into()],
        out: ["kafka2".to_owned()].into(),
        adds: false,
        options: serde_json::Map::new(),
        asked: Vec::new(),
    };
    timeline.emit("khd", injected);
    timeline.emit("khd", Kind::Cut);
    let lines = |lines: &[Value]| -> String { lines.iter().map(|line| format!("{line}\n")).collect() };
    std::fs::write(run.ledgers().join("producer-p.jsonl"), lines(producer)).unwrap();
    std::fs::write(run.ledgers().join("consumer-c.jsonl"), lines(consumer)).unwrap();
    std::fs::write(run.log_summary(), log.to_string()).unwrap();
    run
}

fn edge() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(0)),
        Just(json!(1)),
        Just(json!(-1)),
        Just(json!(7)),
        Just(json!(i64::MAX)),
        Just(json!(i64::MIN)),
        Just(json!(u64::MAX)),
        Just(json!((1u64 << 60) - 1)),
        any::<i64>().prop_map(|number| json!(number)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn numbers_at_the_edges_are_judged_or_refused(n in proptest::collection::vec(edge(), 40)) {
        let producer = [
            json!({"line": "producer", "schema": 2, "producer": "p", "host": "h", "started": n[0], "acks": "all",
                   "idempotent": true, "topics": ["test-1"]}),
            json!({"line": "reserve", "at": n[1], "partitions": [{"topic": "test-1", "partition": 0, "until": n[2]}]}),
            json!({"line": "settled", "at": n[3], "horizon": n[4], "partitions": [{
                "topic": "test-1", "partition": 0, "acked": [[n[5], n[6], n[7]], [n[8], n[9], n[10]]],
                "earliest": n[11], "spans": [[n[12], n[13], n[14]]], "failed": [[n[15], n[16]]],
                "unknown": [[n[17], n[17]]], "troubled": [[n[18], n[19], n[20]]],
            }]}),
            json!({"line": "latency", "at": n[21], "partitions": [{
                "topic": "test-1", "partition": 0, "micros": [[n[22], n[23]]],
            }]}),
        ];
        let consumer = [
            json!({"line": "consumer", "schema": 2, "consumer": "c", "host": "h", "started": n[24], "group": "test",
                   "assignment": "range", "topics": ["test-1"]}),
            json!({"line": "assigned", "at": n[25], "partitions": [["test-1", 0]], "generation": 1}),
            json!({"line": "delivered", "at": n[26], "partitions": [{
                "topic": "test-1", "partition": 0, "runs": [[n[27], n[28]], [n[29], n[29]]], "spans": [[n[30], n[30], n[31]]],
            }]}),
            json!({"line": "committed", "at": n[32], "offsets": [{"topic": "test-1", "partition": 0, "offset": n[33]}]}),
        ];
        let log = json!({"schema": 2, "taken": i64::MAX, "partitions": [{
            "topic": "test-1", "partition": 0, "begin": n[34], "end": n[35], "covered": [[0, n[36]]], "records": n[37],
            "foreign": 0, "offsets": [[0, n[36]]], "producers": {"p": [[n[38], n[39], 0], [n[5], n[6], n[7]]]},
        }]});
        // Most are refused for one number or other: each ledger alone, and none, too.
        for (producer, consumer) in [(&producer[..], &consumer[..]), (&producer[..], &[]), (&[], &consumer[..]), (&[], &[])] {
            let folder = tempfile::tempdir().unwrap();
            let run = run(folder.path(), producer, consumer, &log);
            if let Ok(evidence) = Evidence::load(&run) {
                judge(&evidence);
            }
        }
    }
}

#[test]
fn a_claim_of_more_messages_than_there_can_be_costs_no_more_than_any_other() {
    let much = (1u64 << 60) - 1;
    let producer = [
        json!({"line": "producer", "schema": 2, "producer": "p", "host": "h", "started": 0, "acks": "all",
               "idempotent": true, "topics": ["test-1"]}),
        json!({"line": "reserve", "at": 1, "partitions": [{"topic": "test-1", "partition": 0, "until": much}]}),
        json!({"line": "settled", "at": 2, "horizon": 2, "partitions": [{
            "topic": "test-1", "partition": 0, "acked": [[1, much, 0]], "earliest": 1, "spans": [[1, 1, 1]],
        }]}),
    ];
    let log = json!({"schema": 2, "taken": i64::MAX, "partitions": [{
        "topic": "test-1", "partition": 0, "begin": 0, "end": much, "covered": [[0, much - 1]], "records": much,
        "foreign": 0, "offsets": [[0, much - 1]], "producers": {"p": [[0, much, 0], [0, much, 0]]},
    }]});
    let folder = tempfile::tempdir().unwrap();
    let evidence = Evidence::load(&run(folder.path(), &producer, &[], &log)).unwrap();
    let verdicts = judge(&evidence);
    let count = |id: &str| verdicts.iter().find(|verdict| verdict.id == id).unwrap().measured["count"].clone();
    assert_eq!(count("duplicate"), much);
    assert_eq!(count("inconsistent-offset"), much);
}

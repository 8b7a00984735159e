//! Runs made up for the page: three brokers, five topics with six partitions each, two producers' worth of messages.
//!
//! kafka2 is killed after a tenth of the run and started again at its half. Each partition gets a message every 300 ms,
//! as thirty do of a producer that sends a hundred a second, so that the page has as many pauses to draw as it ever will.

use std::io::Cursor;

use jiff::Timestamp;
use khd::report::Report;
use khd::report::lanes::Lanes;
use khd::settings::Settings;
use khd::timeline::event::{Event, Kind, SCHEMA};
use khd::timeline::limits::{Bound, Limits};
use khd::topology::{Expectation, Topology};
use khd::verdicts::evidence::Evidence;
use khd::verdicts::judge;
use khd::verdicts::messages::Messages;
use khd::workload::audit::LogSummary;
use khd::workload::ledger::history::Ledgers;
use khd::workload::ledger::{self, Scope};
use serde_json::{Value, json};

/// When the runs start, in milliseconds since the Unix epoch.
const START: i64 = 1_700_000_000_000;
const PACE_MS: i64 = 300;
/// How long the partitions that kafka2 led stand still.
pub const STILL_MS: i64 = 4_321;

/// A run of some seconds.
pub struct Run {
    pub report: Report,
    pub lanes: Lanes,
}

pub fn run(seconds: u64) -> Run {
    let mut settings = Settings::default();
    settings.topics.names[0] = "</script><i>test".into();
    let expected = Topology::of(&settings).expectation(std::time::Duration::from_secs(18));
    let length = seconds * 1000;
    let (killed, started) = (length / 10, length / 2);
    let events = events(&expected, length, killed, started);
    let files = ledgers(&expected, length as i64, killed as i64);
    let files = files.map(|(name, lines)| (name.to_owned(), Cursor::new(lines)));
    let ledgers = Ledgers::read(files, Scope::ALL).unwrap();
    let evidence = Evidence::new(events, Some(Messages::of_run(ledgers, LogSummary::default(), START))).unwrap();
    Run {
        report: Report::of("a-run".into(), &evidence, judge(&evidence)),
        lanes: Lanes::of(&evidence),
    }
}

fn events(expected: &Expectation, length: u64, killed: u64, started: u64) -> Vec<Event> {
    let mut events = Vec::new();
    let mut at = |elapsed_ms: u64, source: &str, kind: Kind| {
        events.push(Event {
            wall: Timestamp::from_millisecond(START + elapsed_ms as i64).unwrap(),
            elapsed_ms,
            source: source.into(),
            kind,
        });
    };
    let limits = Limits::from([("gap".to_owned(), Bound::at_most(28_000.0))]);
    let begin = Kind::RunStarted {
        schema: SCHEMA,
        khd: "test".into(),
        command: "khd fail kafka2 --how kill".into(),
        expectation: expected.clone().into(),
        limits,
        skip: std::collections::BTreeMap::new(),
    };
    at(0, "khd", begin);
    let healthy = Kind::StepStarted {
        step: 0,
        sort: "healthy".into(),
        words: "check that the lab is healthy".into(),
        until: None,
    };
    let healthy_ended = Kind::StepEnded {
        step: 0,
        ok: true,
        lacking: Vec::new(),
    };
    let controller = |controller, epoch| Kind::ControllerElected { controller, epoch };
    let facts = |leader: &dyn Fn(i32) -> i32, epoch: i32, isr: &[i32]| -> Vec<Kind> {
        let fact = |(topic, partition): (String, i32)| Kind::Partition {
            topic,
            partition,
            leader: leader(partition),
            leader_epoch: epoch,
            replicas: (0..3).map(|n| (partition + n) % 3 + 1).collect(),
            isr: isr.iter().copied().collect(),
        };
        expected.partitions().map(fact).collect()
    };
    let preferred = |partition: i32| partition % 3 + 1;
    let survivor = |partition: i32| {
        if preferred(partition) == 2 {
            3
        } else {
            preferred(partition)
        }
    };
    at(0, "khd", healthy);
    for broker in expected.brokers.keys() {
        at(10, broker, Kind::BrokerAnswers);
        for fact in facts(&preferred, 0, &[1, 2, 3]) {
            at(20, broker, fact);
        }
    }
    at(30, "zookeeper1", controller(2, 4));
    at(killed - 10, "khd", healthy_ended);
    let injected = Kind::FaultInjected {
        id: 1,
        fault: "kill".into(),
        targets: vec!["kafka2".into()],
        out: ["kafka2".to_owned()].into(),
        adds: false,
        options: serde_json::Map::new(),
        asked: Vec::new(),
    };
    at(killed, "khd", injected);
    let error = "connection refused".to_owned();
    at(killed + 50, "kafka2", Kind::BrokerSilent { error });
    let proof = "it is gone".to_owned();
    at(killed + 500, "khd", Kind::FaultEffective { id: 1, proof });
    at(killed + 600, "zookeeper1", controller(-1, 4));
    at(killed + 900, "zookeeper1", controller(1, 5));
    for broker in ["kafka1", "kafka3"] {
        for fact in facts(&survivor, 1, &[1, 3]) {
            at(killed + STILL_MS as u64 - 100, broker, fact);
        }
    }
    at(started, "khd", Kind::FaultUndone { id: 1 });
    at(started + 700, "kafka2", Kind::BrokerAnswers);
    for broker in ["kafka1", "kafka3"] {
        for fact in facts(&preferred, 2, &[1, 2, 3]) {
            at(started + 900, broker, fact);
        }
    }
    at(length - 100, "khd", Kind::Cut);
    at(length, "khd", Kind::RunEnded { outcome: "done".into() });
    events
}

/// A producer's and a consumer's ledger, a line a second.
fn ledgers(expected: &Expectation, length: i64, killed: i64) -> [(&'static str, String); 2] {
    let schema = ledger::SCHEMA;
    let topics = &expected.workload.topics;
    let mut produced = vec![json!({
        "line": "producer", "schema": schema, "producer": "p", "host": "p", "started": START, "acks": "all",
        "idempotent": true, "topics": topics,
    })];
    let mut consumed = vec![json!({
        "line": "consumer", "schema": schema, "consumer": "c", "host": "c", "started": START, "group": "test",
        "assignment": "cooperative-sticky", "topics": topics,
    })];
    let everything: Vec<(String, i32)> = expected.partitions().collect();
    for (line, at, moved) in [
        ("assigned", 100, &everything[..]),
        ("revoked", length / 3, &everything[..10]),
        ("assigned", length / 3 + 40, &everything[..10]),
    ] {
        consumed.push(json!({"line": line, "at": START + at, "partitions": moved, "generation": 7}));
    }
    let reserved: Vec<Value> = everything
        .iter()
        .map(|(topic, partition)| json!({"topic": topic, "partition": partition, "until": length}))
        .collect();
    produced.push(json!({"line": "reserve", "at": START, "partitions": reserved}));
    for second in 0..length / 1000 {
        let (mut settled, mut delivered) = (Vec::new(), Vec::new());
        for (topic, partition) in &everything {
            // Not all in the same millisecond, and two of three go on while kafka2 is gone.
            let offset = i64::from(*partition) * 7;
            let still = |at: i64| partition % 3 == 1 && (killed..killed + STILL_MS).contains(&at);
            let sent: Vec<i64> = (0..length / PACE_MS)
                .skip((second * 1000 / PACE_MS - 1).max(0) as usize)
                .map(|n| n * PACE_MS + offset)
                .skip_while(|at| *at < second * 1000)
                .take_while(|at| *at < (second + 1) * 1000)
                .filter(|at| !still(*at))
                .collect();
            let spans = |late: i64| -> Vec<(i64, i64, u64)> {
                let span = |at: &i64| (START + at + late, START + at + late, 1);
                sent.iter().map(span).collect()
            };
            let (first, count) = (second * 10, sent.len() as i64);
            if count == 0 {
                continue;
            }
            settled.push(json!({
                "topic": topic, "partition": partition, "acked": [[first, count, first]], "spans": spans(0),
            }));
            delivered.push(json!({
                "topic": topic, "partition": partition, "runs": [[first, first + count - 1]], "spans": spans(3),
            }));
        }
        let at = START + (second + 1) * 1000;
        produced.push(json!({"line": "settled", "at": at, "horizon": at, "partitions": settled}));
        consumed.push(json!({"line": "delivered", "at": at, "partitions": delivered}));
    }
    let text = |lines: Vec<Value>| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    [
        ("producer-p.jsonl", text(produced)),
        ("consumer-c.jsonl", text(consumed)),
    ]
}

//! One small report for the formats' tests.

use jiff::Timestamp;
use serde_json::{Map, json};

use crate::report::{Explained, FaultTold, Report, SCHEMA};
use crate::verdicts::Status;

/// A verdict of a check.
pub fn verdict(id: &str, status: Status, summary: &str) -> Explained {
    Explained {
        id: id.into(),
        meaning: "what it means",
        source: "where it comes from",
        status,
        summary: summary.into(),
        measured: Map::new(),
    }
}

/// A drill that lost messages, with a verdict of each kind that people meet.
pub fn report() -> Report {
    let mut moved = verdict("leaders-moved", Status::Passed, "every partition was led after 376 ms");
    moved.measured.insert("moved_after_ms".into(), json!(376));
    let mut lost = verdict("lost-write", Status::Failed, "3 of 100 acknowledged messages are gone");
    lost.measured.insert("lost".into(), json!(3));
    Report {
        schema: SCHEMA,
        run: "20261124T063910000-khd-stop-kafka2".into(),
        khd: "0.1.0".into(),
        command: "khd fail kafka2".into(),
        started: Timestamp::from_second(1_795_502_350).unwrap(),
        duration_ms: 27_400,
        outcome: Some("done".into()),
        drill: Some("stop-kafka2".into()),
        faults: vec![FaultTold {
            fault: "stop".into(),
            targets: vec!["kafka2".into()],
            asked: Vec::new(),
            options: Map::new(),
            injected_ms: 1_000,
            effective_ms: Some(1_534),
            undone_ms: Some(23_400),
            healed_ms: Some(25_012),
            proof: Some("it is gone".into()),
        }],
        status: Status::Failed,
        sentence: "kafka2 was stopped for 22 seconds, and 3 of 100 confirmed messages are gone.".into(),
        verdicts: vec![
            moved,
            verdict("isr-restored", Status::Skipped, "the fault was left in place"),
            verdict("progress", Status::Hung, "nothing was acknowledged"),
            lost,
        ],
        latency: None,
    }
}

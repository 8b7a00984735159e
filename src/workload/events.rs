//! What producers and consumers log for the timeline: log lines with a field `event`, and those lines read again.
//!
//! A line carries the fields of a [`Kind`] under their own names, beside its message for people; lists of partitions
//! are JSON within a string, because a log line's fields are plain.

use jiff::SignedDuration;
use serde_json::{Map, Value};

use crate::timeline::event::{Kind, Success, TopicPartition};
use crate::workload::logs::brief;
use crate::workload::metrics::METRICS;

/// The events that a client's log line may tell: a client is not to be believed when it tells of others.
const OF_CLIENTS: [&str; 5] = [
    "partitions-assigned",
    "partitions-revoked",
    "gap-opened",
    "gap-closed",
    "client-error",
];

/// Logs an event of a client's, and counts it.
pub fn log(event: &Kind) {
    METRICS.happened(event);
    match event {
        Kind::PartitionsAssigned {
            group,
            member,
            generation,
            partitions,
        } => {
            let (event, list) = ("partitions-assigned", json(partitions));
            let named = named(partitions);
            tracing::info!(event, group, member, generation, partitions = list, "assigned {named}");
        }
        Kind::PartitionsRevoked {
            group,
            member,
            generation,
            partitions,
            lost,
        } => {
            let (event, list) = ("partitions-revoked", json(partitions));
            let named = named(partitions);
            tracing::info!(
                event,
                group,
                member,
                generation,
                partitions = list,
                lost,
                "revoked {named}"
            );
        }
        Kind::GapOpened {
            of,
            topic,
            partition,
            since,
        } => {
            let (event, name, none) = ("gap-opened", name(*of), past(*of));
            let last = jiff::Timestamp::from_millisecond(*since).unwrap_or_default();
            tracing::warn!(
                event,
                of = name,
                topic,
                partition,
                since,
                "{topic}-{partition}: nothing {none} since {last:.3}"
            );
        }
        Kind::GapClosed {
            of,
            topic,
            partition,
            from,
            to,
        } => {
            let (event, name, first) = ("gap-closed", name(*of), past(*of));
            let length = SignedDuration::from_millis(to.saturating_sub(*from)).as_secs_f64();
            tracing::info!(
                event,
                of = name,
                topic,
                partition,
                from,
                to,
                "{topic}-{partition}: {first} again after {length:.3} s"
            );
        }
        Kind::ClientError { message, suppressed } => {
            tracing::warn!(event = "client-error", suppressed, "{message}");
        }
        _ => {}
    }
}

/// The event that a log line tells, if it tells one.
pub fn read(line: &str) -> Option<Kind> {
    // Few lines do: most are not worth parsing.
    if !line.contains("\"event\"") {
        return None;
    }
    let mut fields: Map<String, Value> = serde_json::from_str(line).ok()?;
    let event = fields.get("event")?.as_str()?;
    if !OF_CLIENTS.contains(&event) {
        return None;
    }
    if let Some(Value::String(list)) = fields.get("partitions") {
        let list = serde_json::from_str(list).ok()?;
        fields.insert("partitions".to_owned(), list);
    }
    serde_json::from_value(Value::Object(fields)).ok()
}

/// Partitions as JSON, which they always have.
fn json(partitions: &[TopicPartition]) -> String {
    serde_json::to_string(partitions).unwrap_or_default()
}

fn named(partitions: &[TopicPartition]) -> String {
    match partitions {
        [] => "nothing".to_owned(),
        some => brief(some),
    }
}

fn name(of: Success) -> &'static str {
    match of {
        Success::Acknowledgement => "acknowledgement",
        Success::Delivery => "delivery",
    }
}

fn past(of: Success) -> &'static str {
    match of {
        Success::Acknowledgement => "acknowledged",
        Success::Delivery => "delivered",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::workload::logs::readable;

    #[derive(Clone, Default)]
    struct Printed(Arc<Mutex<Vec<u8>>>);

    impl Write for Printed {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What a client in the lab prints when it logs these events.
    fn printed(events: &[Kind]) -> String {
        let printed = Printed::default();
        let writer = printed.clone();
        let lines = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_target(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(lines, || events.iter().for_each(log));
        String::from_utf8(printed.0.lock().unwrap().clone()).unwrap()
    }

    fn partitions() -> Vec<TopicPartition> {
        vec![("test-1".into(), 0), ("test-1".into(), 1)]
    }

    fn all() -> [Kind; 6] {
        let topic = || "test-1".to_owned();
        [
            Kind::PartitionsAssigned {
                group: "test".into(),
                member: Some("m-\"1\"".into()),
                generation: Some(7),
                partitions: partitions(),
            },
            Kind::PartitionsRevoked {
                group: "test".into(),
                member: None,
                generation: None,
                partitions: Vec::new(),
                lost: true,
            },
            Kind::GapOpened {
                of: Success::Acknowledgement,
                topic: topic(),
                partition: 3,
                since: 1_767_225_600_250,
            },
            Kind::GapClosed {
                of: Success::Delivery,
                topic: topic(),
                partition: 3,
                from: 1_767_225_600_250,
                to: 1_767_225_618_500,
            },
            Kind::ClientError {
                message: "broker 1 is down".into(),
                suppressed: 4,
            },
            Kind::ClientError {
                message: "not any more".into(),
                suppressed: 0,
            },
        ]
    }

    #[test]
    fn what_is_logged_is_read_again() {
        let printed = printed(&all());
        let read: Vec<Kind> = printed.lines().filter_map(read).collect();
        assert_eq!(read, all(), "{printed}");
    }

    #[test]
    fn people_read_messages_without_the_fields_for_programs() {
        let printed = printed(&all());
        let lines: Vec<String> = printed.lines().filter_map(readable).collect();
        let without_time: Vec<&str> = lines.iter().map(|line| &line[13..]).collect();
        assert_eq!(
            without_time,
            [
                "INFO  assigned test-1[0-1]  generation=7  group=test  member=m-\"1\"",
                "INFO  revoked nothing  group=test  lost=true",
                "WARN  test-1-3: nothing acknowledged since 2026-01-01T00:00:00.250Z  partition=3  topic=test-1",
                "INFO  test-1-3: delivered again after 18.250 s  from=1767225600250  partition=3  to=1767225618500  topic=test-1",
                "WARN  broker 1 is down  suppressed=4",
                "WARN  not any more  suppressed=0",
            ]
        );
    }

    #[test]
    fn other_lines_tell_no_event() {
        for line in [
            "",
            "khd: \"event\"",
            r#"{"message":"sent 500 messages","acked":498}"#,
            r#"{"event":"run-ended","outcome":"done","message":"a client cannot say that"}"#,
            r#"{"event":"gap-opened","of":"delivery","topic":"t","message":"fields are missing"}"#,
            r#"{"event":"partitions-assigned","group":"g","partitions":"[[\"t\",","message":"cut"}"#,
            r#"{"event":"gap-opened","of":"hope","topic":"t","partition":0,"since":1}"#,
            r#"{"event":["gap-opened"]}"#,
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}

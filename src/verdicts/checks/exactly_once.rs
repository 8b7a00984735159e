//! exactly-once: what copiers copied in transactions stands in the copies once each, and in order.

use std::collections::BTreeMap;

use crate::timeline::conditions;
use crate::timeline::event::TopicPartition;
use crate::timeline::limits::Bound;
use crate::verdicts::copies::{Compared, compare};
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Anomaly, Found};
use crate::verdicts::{Check, Finding, Measure, Status};
use crate::workload::audit::{CopyLog, LogSummary};

/// Tells whether every record has exactly one copy, in the order of the records.
pub struct ExactlyOnce;

impl Check for ExactlyOnce {
    fn id(&self) -> &'static str {
        "exactly-once"
    }

    fn meaning(&self) -> &'static str {
        "each record below the copiers' committed offset has one copy that read_committed shows, in the order of the records"
    }

    fn source(&self) -> &'static str {
        "Apache Kafka, system tests: transactions_test.py, which reads what TransactionalMessageCopier copied"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if !conditions::has_had_copiers(&evidence.after, &evidence.expected) {
            return Finding::skipped("the lab has no copiers");
        }
        let Some(messages) = evidence
            .messages
            .as_ref()
            .filter(|messages| !messages.log.copies.is_empty())
        else {
            return Finding::new(Status::NoData, "the copies could not be read");
        };
        let log = &messages.log;
        let copy_still = conditions::copiers(&evidence.after, &evidence.expected) > 0;
        let copies: BTreeMap<TopicPartition, &CopyLog> = log.copies.iter().map(|copy| (copy.key(), copy)).collect();
        let mut found = Found::none(messages);
        let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
        let (mut unread, mut behind, mut copied) = (0u64, 0u64, 0u64);
        for partition in evidence.expected.partitions() {
            let whole = copies.get(&partition).filter(|copy| is_whole(log, copy));
            let (Some(copy), Some(source)) = (whole, log.committed(&partition)) else {
                unread += 1;
                continue;
            };
            let compared = compare(source, copy);
            behind += compared.behind.count();
            copied += compared.copied;
            tell(&partition, compared, |kind, count, anomaly| {
                *kinds.entry(kind).or_default() += count;
                found.add_many(count, || anomaly.with("count", count));
            });
        }
        if copied == 0 && found.count == 0 && unread == 0 && (behind == 0 || !copy_still) {
            return Finding::new(Status::NoData, "no record has a copy that could be judged");
        }
        let summary = match (found.count, behind) {
            (0, 0) => format!("each of {copied} records has one copy, in the order of the records"),
            (0, behind) if copy_still => {
                format!("{behind} records were not copied in time; the other {copied} were once each")
            }
            (0, behind) => format!("each of {copied} records has one copy; the copiers that are gone left {behind}"),
            _ => {
                let of: Vec<String> = kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
                format!(
                    "not all copies are as they should be: {} (of {copied} records with a copy)",
                    of.join(", ")
                )
            }
        };
        let none = Some(Bound::at_most(0.0));
        let mut finding = Finding::measured(self, evidence, none, found.count as f64, summary)
            .with("count", found.count)
            .with("copied", copied)
            .with("behind", behind);
        for (kind, count) in kinds {
            finding = finding.with(kind, count);
        }
        if !found.anomalies.is_empty() {
            finding = finding.with("examples", serde_json::json!(found.anomalies));
        }
        if finding.status == Status::Passed && unread > 0 {
            finding.status = Status::Unknown;
            finding.summary = format!(
                "{}, as far as it is known: {unread} partitions or their copies were not read from beginning to end",
                finding.summary
            );
        } else if finding.status == Status::Passed && behind > 0 && copy_still {
            finding.status = Status::Hung;
        }
        finding
    }
}

/// Whether a partition and its copy were read from beginning to end, and retention has deleted from neither.
fn is_whole(log: &LogSummary, copy: &CopyLog) -> bool {
    let source = log.committed(&copy.key());
    let mut both = source.into_iter().chain([&copy.log]);
    source.is_some() && both.all(|log| log.begin == 0 && log.is_whole())
}

/// Tells what is not as it should be, of which kind and how much: of records their offsets, of copies theirs.
fn tell(partition: &TopicPartition, compared: Compared, mut add: impl FnMut(&'static str, u64, Anomaly)) {
    let anomaly = |kind: &str, offset: u64| Anomaly::at(partition).with("copy", kind).with("offset", offset);
    for range in compared.missing.iter() {
        let told = anomaly("missing", range.start);
        add("missing", range.end - range.start, told);
    }
    for run in compared.twice {
        let told = anomaly("twice", run.sequence).with("copied_to", run.offset);
        add("twice", run.count, told);
    }
    for (run, after) in compared.late {
        let told = anomaly("late", run.sequence)
            .with("copied_to", run.offset)
            .with("after", after);
        add("late", run.count, told);
    }
    for range in compared.foreign.iter() {
        let told = Anomaly::at(partition)
            .with("copy", "foreign")
            .with("copied_to", range.start);
        add("foreign", range.end - range.start, told);
    }
    if compared.strangers > 0 {
        add(
            "foreign",
            compared.strangers,
            Anomaly::at(partition).with("copy", "foreign"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::event::Kind;
    use crate::topology::COPIER;
    use crate::verdicts::checks::testing::Drill;
    use crate::workload::audit::PartitionLog;

    fn found(copies: &[(u64, u64, i64)], committed: i64) -> Finding {
        ExactlyOnce.judge(&Drill::good().copied(copies, committed).evidence())
    }

    fn empty(log: &PartitionLog) -> PartitionLog {
        PartitionLog {
            topic: log.topic.clone(),
            partition: log.partition,
            ..PartitionLog::default()
        }
    }

    fn nothing_was_copied(log: &mut LogSummary) {
        for copy in &mut log.copies {
            copy.log = empty(&copy.log);
            (copy.committed, copy.end) = (0, 0);
        }
    }

    #[test]
    fn copies_once_each_and_in_order_pass() {
        let good = found(&[(0, 40, 0), (40, 60, 41)], 100);
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert_eq!(
            (&good.measured["value"], &good.measured["copied"]),
            (&0.0.into(), &200.into())
        );
    }

    #[test]
    fn a_copy_that_is_missing_stands_twice_or_late_or_is_of_nothing_fails() {
        let of = |copies: &[(u64, u64, i64)], count: u64, what: &str| {
            let bad = found(copies, 100);
            assert_eq!(bad.status, Status::Failed, "{what}: {}", bad.summary);
            assert_eq!(bad.measured["count"], count, "{what}: {}", bad.summary);
            assert_eq!(bad.measured["examples"][0]["copy"], what);
        };
        of(&[(0, 10, 0), (13, 87, 10)], 3, "missing");
        of(&[(0, 60, 0), (50, 50, 61)], 10, "twice");
        let both = found(&[(0, 60, 0), (50, 40, 61)], 100);
        assert_eq!(
            (&both.measured["twice"], &both.measured["missing"]),
            (&10.into(), &10.into())
        );
        of(&[(0, 10, 0), (12, 88, 10), (10, 2, 98)], 2, "late");
        of(&[(0, 100, 0), (100, 1, 100)], 1, "foreign");
    }

    #[test]
    fn copiers_that_lag_for_ever_hang() {
        let late = found(&[(0, 90, 0)], 90);
        assert_eq!(late.status, Status::Hung, "{}", late.summary);
        assert_eq!(late.measured["behind"], 10);
        // What is lost is worse than what is late.
        assert_eq!(found(&[(0, 80, 0)], 90).status, Status::Failed);
    }

    #[test]
    fn what_copiers_did_is_judged_when_they_are_gone_but_not_what_they_left() {
        let scaled = Kind::Scaled {
            service: COPIER.into(),
            replicas: 0,
        };
        let gone = |copies: &[(u64, u64, i64)], committed| {
            let drill = Drill::good()
                .copied(copies, committed)
                .beside(20, "khd", scaled.clone());
            ExactlyOnce.judge(&drill.evidence()).status
        };
        assert_eq!(gone(&[(0, 60, 0), (50, 50, 61)], 100), Status::Failed);
        assert_eq!(gone(&[(0, 90, 0)], 90), Status::Passed);

        let mut left = Drill::good().copied(&[], 0).beside(20, "khd", scaled).evidence();
        nothing_was_copied(&mut left.messages.as_mut().unwrap().log);
        assert_eq!(ExactlyOnce.judge(&left).status, Status::NoData);
    }

    #[test]
    fn where_nothing_was_written_nothing_is_proven() {
        let mut evidence = Drill::good().copied(&[(0, 100, 0)], 100).evidence();
        let log = &mut evidence.messages.as_mut().unwrap().log;
        log.partitions.iter_mut().for_each(|log| *log = empty(log));
        nothing_was_copied(log);
        assert_eq!(ExactlyOnce.judge(&evidence).status, Status::NoData);
    }

    #[test]
    fn what_was_not_read_is_not_judged_and_a_lab_without_copiers_is_skipped() {
        let judge = |drill: Drill| ExactlyOnce.judge(&drill.evidence()).status;
        let all = [(0, 100, 0)];
        assert_eq!(judge(Drill::good()), Status::Skipped);
        assert_eq!(judge(Drill::good().copied(&all, 100).copies_not_read()), Status::NoData);
        assert_eq!(judge(Drill::good().copied(&all, 100).without_ledgers()), Status::NoData);
        assert_eq!(judge(Drill::good().copied(&all, 100).retention_to(5)), Status::Unknown);
        assert_eq!(
            judge(Drill::good().copied(&all, 100).log_read_halfway()),
            Status::Unknown
        );
    }
}

//! lost-write: acknowledged, and absent from the log although the log was read past where it should be.

use crate::timeline::limits::Bound;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Found, Messages, Pair};
use crate::verdicts::{Check, Finding, Measure, MessageCheck, Status};

/// Everything that was acknowledged is in the log.
pub struct LostWrite;

impl Check for LostWrite {
    fn id(&self) -> &'static str {
        "lost-write"
    }

    fn meaning(&self) -> &'static str {
        "every acknowledged message is in the log, by an independent read of all of it"
    }

    fn source(&self) -> &'static str {
        "Jepsen, Kafka workload: acknowledged, and absent from a log that was read past it"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let Some(messages) = &evidence.messages else {
            return Finding::new(Status::NoData, "the log or the ledgers could not be read");
        };
        let tally = Tally::of(messages);
        let acknowledged = tally.acknowledged;
        if acknowledged == 0 {
            return match messages.ledgers.producers.is_empty() {
                true => Finding::skipped("no producer ever ran in this lab"),
                false => Finding::new(Status::NoData, "nothing was acknowledged, so nothing could be lost"),
            };
        }
        let found = self.find(messages);
        let (lost, vanished) = (found.count, vanished(messages));
        let summary = if lost > 0 {
            format!(
                "{lost} of {acknowledged} acknowledged messages are not in the log{}",
                tally.worst
            )
        } else if vanished > 0 {
            format!("{vanished} records that were delivered are no longer in the log")
        } else if tally.unseen > 0 {
            format!(
                "{} of {acknowledged} acknowledged messages lie where the log was not read",
                tally.unseen
            )
        } else if tally.hidden > 0 {
            format!(
                "{} of {acknowledged} acknowledged messages are in a transaction that is open or was aborted, or behind an open one: readers with isolation.level=read_committed do not get them",
                tally.hidden
            )
        } else {
            format!(
                "all {acknowledged} acknowledged messages are among the {} records of the log",
                tally.records
            )
        };
        let none = Some(Bound::at_most(0.0));
        let mut finding = Finding::measured(self, evidence, none, lost as f64, summary);
        if finding.status == Status::Passed && lost == 0 && vanished > 0 {
            finding.status = Status::Failed;
        }
        if finding.status == Status::Passed && lost == 0 && tally.unseen + tally.hidden > 0 {
            finding.status = Status::Unknown;
        }
        finding
            .with("acknowledged", acknowledged)
            .with("lost", lost)
            .with("vanished", vanished)
            .with("unseen", tally.unseen)
            .with("hidden", tally.hidden)
            .with("deleted", tally.deleted)
            .with("unknown", tally.unknown)
            .with("records", tally.records)
            .with("examples", serde_json::json!(found.anomalies))
    }
}

impl MessageCheck for LostWrite {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        for pair in messages.pairs() {
            found.add_messages(messages, &pair, &pair.missing().lost);
        }
        found
    }
}

/// What became of all messages, in numbers.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: u64,
    unseen: u64,
    // Acknowledged, in the log, and not for readers of committed records.
    hidden: u64,
    deleted: u64,
    unknown: u64,
    records: u64,
    // Where most were lost, in words.
    worst: String,
}

impl Tally {
    fn of(messages: &Messages) -> Self {
        let mut tally = Self {
            records: messages
                .log
                .partitions
                .iter()
                .fold(0, |sum: u64, log| sum.saturating_add(log.records)),
            ..Self::default()
        };
        let mut most = 0;
        for pair in messages.pairs() {
            let missing = pair.missing();
            tally.acknowledged = tally.acknowledged.saturating_add(pair.sends.acked.count());
            tally.unseen = tally.unseen.saturating_add(missing.unseen.count());
            tally.deleted = tally.deleted.saturating_add(missing.deleted.count());
            let unsettled = pair.sends.unsettled().count();
            tally.unknown = tally
                .unknown
                .saturating_add(pair.sends.unknown.count())
                .saturating_add(unsettled);
            tally.hidden = tally.hidden.saturating_add(hidden(&pair, messages));
            if missing.lost.count() > most {
                most = missing.lost.count();
                tally.worst = format!(", {most} of them on {}/{}", pair.partition.0, pair.partition.1);
            }
        }
        tally
    }
}

/// How many acknowledged messages readers of all records get, and readers of committed ones do not, where both read.
fn hidden(pair: &Pair<'_>, messages: &Messages) -> u64 {
    let of = messages.log.read_committed.iter();
    let Some(committed) = of.into_iter().find(|log| log.key() == pair.partition) else {
        return 0;
    };
    let visible = committed.producers.get(pair.producer).map(|placed| placed.sequences());
    let hidden = pair.sends.acked.without(&visible.unwrap_or_default());
    let read = pair
        .placed
        .within(&hidden)
        .into_iter()
        .map(|part| committed.covered.within_range(part.offsets()).count());
    read.sum()
}

/// Offsets that were delivered to a member, and hold no record any more: of a run, whose members do not note values.
fn vanished(messages: &Messages) -> u64 {
    let of = |partition, members: Vec<(_, &crate::workload::ledger::history::Deliveries)>| {
        let log = messages.log.partition(partition)?;
        let mut delivered = crate::workload::ranges::Ranges::default();
        members
            .iter()
            .for_each(|(_, deliveries)| delivered.extend(&deliveries.offsets()));
        Some(delivered.within(&log.covered).without(&log.offsets).count())
    };
    let deliveries = messages.deliveries().into_iter();
    deliveries
        .filter_map(|((_, partition), members)| of(partition, members))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn an_acknowledged_message_that_is_not_in_the_log_fails_and_is_named() {
        let good = LostWrite.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let bad = LostWrite.judge(&Drill::good().log_without(7).evidence());
        assert_eq!(bad.status, Status::Failed);
        assert_eq!(bad.measured["lost"], 1);
        assert_eq!(bad.measured["examples"][0]["value"], "p:0:7");
    }

    #[test]
    fn a_loss_that_is_expected_passes_and_one_that_does_not_come_fails() {
        let expected = Drill::good().limit(
            "lost-write",
            Bound {
                op: crate::timeline::limits::Op::Greater,
                value: 0.0,
                asked: true,
            },
        );
        let found = LostWrite.judge(&expected.clone().log_without(7).evidence());
        assert_eq!(found.status, Status::Passed, "{}", found.summary);
        assert!(found.summary.contains("(limit > 0)"), "{}", found.summary);
        assert_eq!(LostWrite.judge(&expected.evidence()).status, Status::Failed);
    }

    #[test]
    fn a_log_that_was_not_read_to_its_end_proves_nothing() {
        let unread = LostWrite.judge(&Drill::good().log_read_halfway().evidence());
        assert_eq!(
            (unread.status, &unread.measured["unseen"]),
            (Status::Unknown, &50.into())
        );
        assert_eq!(
            LostWrite.judge(&Drill::good().without_ledgers().evidence()).status,
            Status::NoData
        );
    }

    #[test]
    fn what_retention_deleted_is_not_judged_and_what_was_delivered_and_is_gone_fails() {
        let trimmed = LostWrite.judge(&Drill::good().retention_to(40).evidence());
        assert_eq!(trimmed.status, Status::Passed, "{}", trimmed.summary);
        assert_eq!(trimmed.measured["deleted"], 40);
        let gone = LostWrite.judge(&Drill::good().delivered_beyond_the_records().evidence());
        assert_eq!(gone.status, Status::Failed, "{}", gone.summary);
    }

    #[test]
    fn what_only_readers_of_uncommitted_records_get_is_unknown() {
        let hidden = LostWrite.judge(&Drill::good().hidden(5).evidence());
        assert_eq!(hidden.status, Status::Unknown, "{}", hidden.summary);
        assert_eq!(hidden.measured["hidden"], 5);
    }
}

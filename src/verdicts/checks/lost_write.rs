//! lost-write: acknowledged, and absent from the log although the log was read past where it should be.

use serde_json::json;

use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Status};
use crate::workload::audit::compare;

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

    fn judge(&self, evidence: &Evidence) -> Finding {
        let (Some(ledgers), Some(log)) = (&evidence.ledgers, &evidence.log) else {
            return Finding::new(Status::NoData, "the log or the ledgers could not be read");
        };
        let compared = compare(ledgers, log);
        let acknowledged: u64 = compared.iter().map(|part| part.acked).sum();
        let lost: u64 = compared.iter().map(|part| part.lost.count()).sum();
        let unseen: u64 = compared.iter().map(|part| part.unseen.count()).sum();
        let unknown: u64 = compared.iter().map(|part| part.unknown).sum();
        let records: u64 = log.partitions.iter().map(|part| part.records).sum();
        if acknowledged == 0 {
            return match ledgers.producers.is_empty() {
                true => Finding::skipped("no producer ever ran in this lab"),
                false => Finding::new(Status::NoData, "nothing was acknowledged, so nothing could be lost"),
            };
        }
        let finding = if lost > 0 {
            let worst = compared
                .iter()
                .filter(|part| !part.lost.is_empty())
                .max_by_key(|part| part.lost.count());
            let place = worst.map_or_else(String::new, |part| {
                format!(", {} of them on {}/{}", part.lost.count(), part.topic, part.partition)
            });
            Finding::of(
                false,
                format!("{lost} of {acknowledged} acknowledged messages are not in the log{place}"),
            )
        } else if unseen > 0 {
            let summary =
                format!("{unseen} of {acknowledged} acknowledged messages lie where the log could not be read");
            Finding::new(Status::Unknown, summary)
        } else {
            let summary =
                format!("all {acknowledged} acknowledged messages are among the {records} records of the log");
            Finding::new(Status::Passed, summary)
        };
        let examples: Vec<_> = compared
            .iter()
            .filter(|part| !part.lost.is_empty())
            .map(|part| json!({"topic": part.topic, "partition": part.partition, "producer": part.producer, "lost": part.lost}))
            .take(10)
            .collect();
        finding
            .with("acknowledged", acknowledged)
            .with("lost", lost)
            .with("unseen", unseen)
            .with("unknown", unknown)
            .with("records", records)
            .with("examples", examples)
    }
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
        assert_eq!(bad.measured["examples"][0]["partition"], 0);
    }

    #[test]
    fn a_log_that_was_not_read_to_its_end_proves_nothing() {
        assert_eq!(
            LostWrite.judge(&Drill::good().log_read_halfway().evidence()).status,
            Status::Unknown
        );
        assert_eq!(
            LostWrite.judge(&Drill::good().without_ledgers().evidence()).status,
            Status::NoData
        );
    }
}

//! reorder: each producer's messages are in each partition in the order in which they were sent.

use crate::verdicts::checks::idempotent;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Status};
use crate::workload::audit::compare;

/// Tells whether each producer's messages are in each partition in the order in which they were sent.
pub struct Reorder;

impl Check for Reorder {
    fn id(&self) -> &'static str {
        "reorder"
    }

    fn meaning(&self) -> &'static str {
        "each producer's messages are in each partition in the order in which they were sent"
    }

    fn source(&self) -> &'static str {
        "Jepsen, Kafka workload: one producer's values in a partition in another order than sent"
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let (Some(ledgers), Some(log)) = (&evidence.ledgers, &evidence.log) else {
            return Finding::new(Status::NoData, "the log or the ledgers could not be read");
        };
        let compared = compare(ledgers, log);
        let (judged, counted): (Vec<_>, Vec<_>) = compared.iter().partition(|part| idempotent(part));
        let wrong: u64 = judged.iter().map(|part| part.reorders).sum();
        let legal: u64 = counted.iter().map(|part| part.reorders).sum();
        let finding = match (wrong, legal) {
            (0, 0) => Finding::new(
                Status::Passed,
                "every producer's messages are in the order in which they were sent",
            ),
            (0, legal) => {
                let summary = format!(
                    "{legal} messages are in the log behind a later one of their producer, as may be without idempotence, or after giving up"
                );
                Finding::new(Status::Passed, summary)
            }
            (wrong, _) => Finding::of(
                false,
                format!("{wrong} messages are in the log behind a later one of their producer"),
            ),
        };
        finding.with("reorders", wrong).with("excused", legal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn reorders_of_an_idempotent_producer_fail_and_those_of_others_are_counted() {
        assert_eq!(Reorder.judge(&Drill::good().evidence()).status, Status::Passed);
        let bad = Reorder.judge(&Drill::good().reorders(3).evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert_eq!(bad.measured["reorders"], 3);
        let legal = Reorder.judge(&Drill::good().reorders(3).not_idempotent().evidence());
        assert_eq!(legal.status, Status::Passed, "{}", legal.summary);
        assert_eq!(legal.measured["excused"], 3);
    }
}

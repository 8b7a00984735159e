//! duplicate: no message is in the log at more than one offset.

use crate::verdicts::checks::idempotent;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Status};
use crate::workload::audit::compare;

/// Tells whether no message is in the log at more than one offset.
pub struct Duplicate;

impl Check for Duplicate {
    fn id(&self) -> &'static str {
        "duplicate"
    }

    fn meaning(&self) -> &'static str {
        "no message is in the log at more than one offset"
    }

    fn source(&self) -> &'static str {
        "Jepsen, Kafka workload: the same value at more than one offset"
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let (Some(ledgers), Some(log)) = (&evidence.ledgers, &evidence.log) else {
            return Finding::new(Status::NoData, "the log or the ledgers could not be read");
        };
        let compared = compare(ledgers, log);
        let (judged, counted): (Vec<_>, Vec<_>) = compared.iter().partition(|part| idempotent(part));
        let wrong: u64 = judged.iter().map(|part| part.duplicates).sum();
        let legal: u64 = counted.iter().map(|part| part.duplicates).sum();
        let finding = match (wrong, legal) {
            (0, 0) => Finding::new(Status::Passed, "no message is in the log twice"),
            (0, legal) => {
                let summary = format!(
                    "{legal} messages are in the log more than once, as may be without idempotence, or after giving up"
                );
                Finding::new(Status::Passed, summary)
            }
            (wrong, _) => Finding::of(false, format!("{wrong} messages are in the log more than once")),
        };
        finding.with("duplicates", wrong).with("excused", legal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn duplicates_of_an_idempotent_producer_fail_and_those_of_others_are_counted() {
        assert_eq!(Duplicate.judge(&Drill::good().evidence()).status, Status::Passed);
        let bad = Duplicate.judge(&Drill::good().duplicates(3).evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert_eq!(bad.measured["duplicates"], 3);
        let legal = Duplicate.judge(&Drill::good().duplicates(3).not_idempotent().evidence());
        assert_eq!(legal.status, Status::Passed, "{}", legal.summary);
        assert_eq!(legal.measured["excused"], 3);
    }
}

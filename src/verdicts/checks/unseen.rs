//! unseen: no acknowledged message lies beyond what was read of the log.

use crate::verdicts::checks::{by_count, unread};
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Found, Messages};
use crate::verdicts::{Check, Finding, Measure, MessageCheck, Status};

/// Everything that was acknowledged lies where the log was read.
pub struct Unseen;

impl Check for Unseen {
    fn id(&self) -> &'static str {
        "unseen"
    }

    fn meaning(&self) -> &'static str {
        "no acknowledged message lies beyond what was read of the log"
    }

    fn source(&self) -> &'static str {
        "Jepsen, Kafka workload: acknowledged, not read, and the log not yet read so far; not loss"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let mut finding = by_count(
            self,
            evidence,
            "the log was read past everything that was acknowledged",
            |count| {
                format!(
                    "{count} acknowledged messages lie where the log was not read: nobody knows whether they are there"
                )
            },
        );
        let unread = unread(evidence);
        if finding.status == Status::Passed && unread > 0 {
            finding.summary = format!("{unread} partitions were not read to their ends");
            finding.status = Status::Unknown;
        }
        if finding.status == Status::Failed {
            finding.status = Status::Unknown;
        }
        finding
    }
}

impl MessageCheck for Unseen {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        for pair in messages.pairs() {
            found.add_messages(messages, &pair, &pair.missing().unseen);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn what_lies_beyond_what_was_read_is_unknown_and_never_passed() {
        assert_eq!(Unseen.judge(&Drill::good().evidence()).status, Status::Passed);
        let unread = Unseen.judge(&Drill::good().log_read_halfway().evidence());
        assert_eq!(unread.status, Status::Unknown, "{}", unread.summary);
        assert_eq!(unread.measured["count"], 50);
    }
}

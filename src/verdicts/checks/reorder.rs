//! reorder: each producer's messages are in each partition in the order in which they were sent.

use crate::verdicts::checks::by_log;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Anomaly, Found, Messages};
use crate::verdicts::{Check, Finding, Measure, MessageCheck};
use crate::workload::ranges::Ranges;

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
        "Jepsen, Kafka workload: one producer's values in a partition in another order than sent; first occurrences count"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        by_log(
            self,
            evidence,
            "every producer's messages are in the order in which they were sent",
            |count| format!("{count} messages are in the log behind a later one of their producer"),
        )
    }
}

impl MessageCheck for Reorder {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        for pair in messages.pairs() {
            for (part, after) in pair.placed.disorder().late {
                let late: Ranges = std::iter::once(part.sequences()).collect();
                for range in late.without(&pair.sends.excused).iter() {
                    found.add_each(range, |sequence| {
                        Anomaly::at(&pair.partition)
                            .with("process", pair.producer)
                            .with("value", messages.value(&pair.partition, pair.producer, sequence))
                            .with("offset", part.offset_of(sequence))
                            .with("after", messages.value(&pair.partition, pair.producer, after))
                    });
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::Status;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn a_message_behind_a_later_one_fails_and_is_excused_only_around_a_send_that_was_given_up() {
        assert_eq!(Reorder.judge(&Drill::good().evidence()).status, Status::Passed);
        let bad = Reorder.judge(&Drill::good().reorders(3).evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert_eq!(bad.measured["count"], 3);
        let excused = Reorder.judge(&Drill::good().reorders(3).excused(0..3).evidence());
        assert_eq!(excused.status, Status::Passed, "{}", excused.summary);
    }
}

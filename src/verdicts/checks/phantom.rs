//! phantom: no message is in the log that nobody sent.

use crate::verdicts::checks::by_log;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Found, Messages};
use crate::verdicts::{Check, Finding, Measure, MessageCheck};
use crate::workload::ranges::Ranges;

/// Nothing is in the log that nobody sent.
pub struct Phantom;

impl Check for Phantom {
    fn id(&self) -> &'static str {
        "phantom"
    }

    fn meaning(&self) -> &'static str {
        "no message is in the log that nobody sent"
    }

    fn source(&self) -> &'static str {
        "Jepsen, Kafka workload: a value in the log that nobody sent"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        by_log(
            self,
            evidence,
            "every message of a known producer was sent by it",
            |count| format!("{count} messages are in the log that their producers never sent"),
        )
    }
}

impl MessageCheck for Phantom {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        for pair in messages.pairs() {
            // Of a producer without a ledger nobody knows what it sent.
            if pair.ledger.is_none() {
                continue;
            }
            let mut unsent = Ranges::default();
            unsent.insert_range(pair.sends.reserved..u64::MAX);
            let mut parts = pair.placed.within(&unsent);
            // What was polled was in the log, whatever became of it.
            parts.extend(pair.polled.within(&unsent.without(&pair.placed.sequences())));
            parts
                .into_iter()
                .for_each(|part| found.add_placed(messages, &pair, part));
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
    fn a_message_that_nobody_sent_is_found() {
        let good = Phantom.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let bad = Phantom.judge(&Drill::good().reserved(98).evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert_eq!(bad.measured["count"], 4, "two in each partition");
    }
}

//! aborted-read: no message that certainly failed is in the log.

use crate::verdicts::checks::by_log;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Found, Messages};
use crate::verdicts::{Check, Finding, Measure, MessageCheck};

/// Nothing that was told as failed is in the log.
pub struct AbortedRead;

impl Check for AbortedRead {
    fn id(&self) -> &'static str {
        "aborted-read"
    }

    fn meaning(&self) -> &'static str {
        "no message that certainly failed is in the log"
    }

    fn source(&self) -> &'static str {
        "Jepsen, Kafka workload: aborted read, a send that certainly failed is in the log"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        by_log(self, evidence, "no message that failed is in the log", |count| {
            format!("{count} messages that failed are in the log all the same")
        })
    }
}

impl MessageCheck for AbortedRead {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        for pair in messages.pairs() {
            let committed = messages.log.committed(&pair.partition);
            let placed = committed
                .and_then(|log| log.producers.get(pair.producer))
                .unwrap_or(pair.placed);
            let mut parts = placed.within(&pair.sends.failed);
            // What was polled was in the log, whatever became of it.
            parts.extend(pair.polled.within(&pair.sends.failed.without(&placed.sequences())));
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
    fn a_failed_message_that_is_in_the_log_is_found_with_its_offset() {
        let good = AbortedRead.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let bad = AbortedRead.judge(&Drill::good().failed(7).evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert_eq!(
            (&bad.measured["count"], &bad.measured["examples"][0]["offset"]),
            (&1.into(), &7.into())
        );
    }
}

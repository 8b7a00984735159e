//! poll-skip: no position of a member jumps forward over existing records, without a rebalance between two polls.

use crate::verdicts::checks::by_log;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Anomaly, Found, Messages};
use crate::verdicts::{Check, Finding, Measure, MessageCheck};

/// No member left out a record.
pub struct PollSkip;

impl Check for PollSkip {
    fn id(&self) -> &'static str {
        "poll-skip"
    }

    fn meaning(&self) -> &'static str {
        "no position of a member jumps forward over existing records, without a rebalance between two polls"
    }

    fn source(&self) -> &'static str {
        "Jepsen, Kafka workload: poll skip"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if evidence.expected.workload.consumers == 0 {
            return Finding::skipped("the lab has no consumers");
        }
        by_log(self, evidence, "no member left a record out", |count| {
            format!("{count} times a member left records out")
        })
    }
}

impl MessageCheck for PollSkip {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        for ((_, partition), members) in messages.deliveries() {
            let Some(log) = messages.log.committed(partition) else {
                continue;
            };
            for (consumer, deliveries) in members {
                for jump in &deliveries.jumps {
                    // Over holes (markers of transactions, compacted records) every position jumps.
                    let skipped = log.records_in(jump.from + 1..jump.to).count();
                    if skipped > 0 {
                        found.add(|| {
                            Anomaly::at(partition)
                                .with("process", consumer.header.consumer.clone())
                                .with("from", jump.from)
                                .with("to", jump.to)
                                .with("skipped", skipped)
                        });
                    }
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
    fn a_jump_over_records_fails_and_one_over_a_hole_does_not() {
        let good = PollSkip.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let bad = PollSkip.judge(&Drill::good().jump(10, 20).evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert_eq!(bad.measured["examples"][0]["skipped"], 9);
        let hole = PollSkip.judge(&Drill::good().jump(99, 120).evidence());
        assert_eq!(hole.status, Status::Passed, "{}", hole.summary);
    }
}

//! nonmonotonic-poll: no position of a member jumps back, without a rebalance between two polls.

use crate::verdicts::checks::by_count;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Anomaly, Found, Messages};
use crate::verdicts::{Check, Finding, Measure, MessageCheck};

/// No member went back.
pub struct NonmonotonicPoll;

impl Check for NonmonotonicPoll {
    fn id(&self) -> &'static str {
        "nonmonotonic-poll"
    }

    fn meaning(&self) -> &'static str {
        "no position of a member jumps back, without a rebalance between two polls"
    }

    fn source(&self) -> &'static str {
        "Jepsen, Kafka workload: nonmonotonic poll"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if evidence.expected.workload.consumers == 0 {
            return Finding::skipped("the lab has no consumers");
        }
        by_count(self, evidence, "no member went back", |count| {
            format!("{count} times a member went back without a rebalance")
        })
    }
}

impl MessageCheck for NonmonotonicPoll {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        for ((_, partition), members) in messages.deliveries() {
            for (consumer, deliveries) in members {
                for jump in deliveries.jumps.iter().filter(|jump| jump.to <= jump.from) {
                    found.add(|| {
                        Anomaly::at(partition)
                            .with("process", consumer.header.consumer.clone())
                            .with("from", jump.from)
                            .with("to", jump.to)
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
    fn a_jump_back_fails_and_one_forward_is_another_matter() {
        let good = NonmonotonicPoll.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let bad = NonmonotonicPoll.judge(&Drill::good().jump(20, 10).evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        let forward = NonmonotonicPoll.judge(&Drill::good().jump(10, 20).evidence());
        assert_eq!(forward.status, Status::Passed, "{}", forward.summary);
    }
}

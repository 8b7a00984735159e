//! rebalances: how many generations of the group began during the run.

use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure, Status};

/// How often the group rebalanced. Whether it should have is for the drill to say.
pub struct Rebalances;

impl Check for Rebalances {
    fn id(&self) -> &'static str {
        "rebalances"
    }

    fn meaning(&self) -> &'static str {
        "how many generations of the group began during the run; counted, not judged"
    }

    fn source(&self) -> &'static str {
        "Kafka: each rebalance begins a generation, as the members are told"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if evidence.expected.workload.consumers == 0 {
            return Finding::skipped("the lab has no consumers");
        }
        let Some(messages) = &evidence.messages else {
            return Finding::new(Status::NoData, "the log or the ledgers could not be read");
        };
        let generations = messages.ledgers.generations();
        let count = generations.values().filter(|begin| **begin >= messages.since).count();
        let summary = match count {
            0 => "the group did not rebalance".to_owned(),
            1 => "the group rebalanced once".to_owned(),
            count => format!("the group rebalanced {count} times"),
        };
        Finding::measured(self, evidence, None, count as f64, summary).with("count", count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::limits::Bound;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn generations_that_began_in_the_run_are_counted_once_each() {
        let judged = |drill: Drill| Rebalances.judge(&drill.evidence());
        let none = judged(Drill::good().rebalanced(-5, Some(3)));
        assert_eq!((none.status, &none.measured["count"]), (Status::Passed, &0.into()));
        let again = || Drill::good().rebalanced(-5, Some(3)).rebalanced(5, Some(3));
        assert_eq!(
            judged(again()).measured["count"],
            0,
            "a member that comes back begins none"
        );
        let two = || {
            again()
                .rebalanced(6, Some(4))
                .rebalanced(6, Some(4))
                .rebalanced(7, None)
        };
        assert_eq!(
            (judged(two()).status, &judged(two()).measured["count"]),
            (Status::Passed, &2.into())
        );
        let still = two().limit("rebalances", Bound::at_most(0.0));
        assert_eq!(judged(still).status, Status::Failed);
    }
}

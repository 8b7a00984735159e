//! leaders-moved: no partition is led by the broker that is gone, and every one is led by somebody.

use crate::timeline::conditions;
use crate::verdicts::checks::{on_brokers, readable};
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure};

/// Leadership left the target of the fault in time, and every partition found another leader.
pub struct LeadersMoved;

impl Check for LeadersMoved {
    fn id(&self) -> &'static str {
        "leaders-moved"
    }

    fn meaning(&self) -> &'static str {
        "leadership left the broker that is gone, in time, and every partition found another leader"
    }

    fn source(&self) -> &'static str {
        "Kafka: a dead broker counts as alive for at most zookeeper.session.timeout.ms"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Time)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let faults = match on_brokers(evidence) {
            Ok(faults) => faults,
            Err(finding) => return finding,
        };
        let mut slowest = 0;
        for fault in faults {
            let moved = evidence.held_since(fault.injected + 1, fault.undone, |view| {
                conditions::led_by_survivors(view, &evidence.expected)
            });
            match moved {
                Ok(at) => slowest = slowest.max(evidence.since(fault.injected, at)),
                Err(lacking) => {
                    let lacking = lacking.join("; ");
                    return Finding::of(
                        false,
                        format!("leaders had not moved during {}: {lacking}", fault.words()),
                    );
                }
            }
        }
        let summary = format!("every partition was led by another broker after {}", readable(slowest));
        Finding::measured(self, evidence, None, slowest as f64, summary).with("moved_after_ms", slowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::limits::Bound;
    use crate::verdicts::Status;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn leaders_that_stay_or_move_too_late_fail() {
        let good = LeadersMoved.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert_eq!(good.measured["moved_after_ms"], 2_000);
        assert_eq!(
            LeadersMoved.judge(&Drill::good().leaders_stay().evidence()).status,
            Status::Failed
        );
        assert_eq!(
            LeadersMoved
                .judge(&Drill::good().limit("leaders-moved", Bound::at_most(1_000.0)).evidence())
                .status,
            Status::Failed
        );
    }

    #[test]
    fn a_zookeeper_server_leads_nothing_so_this_is_skipped() {
        assert_eq!(
            LeadersMoved.judge(&Drill::of_zookeeper().evidence()).status,
            Status::Skipped
        );
    }
}

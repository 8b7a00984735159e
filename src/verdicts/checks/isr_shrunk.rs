//! isr-shrunk: while a broker is gone, the in-sync replicas are just the others.

use crate::timeline::conditions;
use crate::verdicts::checks::{on_brokers, readable};
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure};

/// Every ISR shrank to exactly the survivors.
pub struct IsrShrunk;

impl Check for IsrShrunk {
    fn id(&self) -> &'static str {
        "isr-shrunk"
    }

    fn meaning(&self) -> &'static str {
        "every ISR shrank to exactly the brokers that were left"
    }

    fn source(&self) -> &'static str {
        "Kafka: the ISR holds the replicas that are alive and caught up"
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
            let shrunk = evidence.held_since(fault.injected + 1, fault.undone, |view| {
                conditions::isr_is_survivors(view, &evidence.expected)
            });
            match shrunk {
                Ok(at) => slowest = slowest.max(evidence.since(fault.injected, at)),
                Err(lacking) => {
                    let lacking = lacking.join("; ");
                    return Finding::of(false, format!("not the survivors during {}: {lacking}", fault.words()));
                }
            }
        }
        let summary = format!("every ISR was just the survivors after {}", readable(slowest));
        Finding::measured(self, evidence, None, slowest as f64, summary).with("shrunk_after_ms", slowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::Status;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn an_isr_that_keeps_the_dead_broker_fails() {
        assert_eq!(IsrShrunk.judge(&Drill::good().evidence()).status, Status::Passed);
        assert_eq!(
            IsrShrunk.judge(&Drill::good().isr_stays().evidence()).status,
            Status::Failed
        );
        assert_eq!(
            IsrShrunk.judge(&Drill::of_zookeeper().evidence()).status,
            Status::Skipped
        );
    }
}

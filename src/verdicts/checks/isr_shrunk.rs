//! isr-shrunk: while a broker is gone, the in-sync replicas are just the others.

use crate::timeline::conditions;
use crate::verdicts::checks::{readable, without_brokers};
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
        let shrunk = without_brokers(evidence, "not every ISR was just the survivors", |view| {
            conditions::isr_is_survivors(view, &evidence.expected)
        });
        match shrunk {
            Ok(Some(slowest)) => {
                let summary = format!("every ISR was just the survivors after {}", readable(slowest));
                Finding::measured(self, evidence, None, slowest as f64, summary).with("shrunk_after_ms", slowest)
            }
            Ok(None) => Finding::of(true, "every ISR was just the survivors"),
            Err(finding) => finding,
        }
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

    #[test]
    fn a_fault_that_nothing_waited_for_and_one_on_a_client_shrink_nothing() {
        for drill in [Drill::good().without_waits().isr_stays(), Drill::of_consumer()] {
            let finding = IsrShrunk.judge(&drill.evidence());
            assert_eq!(finding.status, Status::Skipped, "{}", finding.summary);
        }
    }
}

//! isr-shrunk: while a broker is gone, the in-sync replicas are just the others.

use crate::timeline::conditions;
use crate::verdicts::checks::readable;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure, Status};

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
        let Some(fault) = &evidence.fault else {
            return Finding::skipped("no fault was injected");
        };
        if evidence.expected.broker_id(&fault.target).is_none() {
            return Finding::skipped(format!("{} is no broker and holds no replica", fault.target));
        }
        if fault.effective.is_none() {
            return Finding::new(Status::Unknown, "the fault was not proven, so nothing had to shrink");
        }
        let shrunk = evidence.held_since(fault.injected + 1, fault.undone, |view| {
            conditions::isr_is_survivors(view, &evidence.expected, Some(&fault.target))
        });
        match shrunk {
            Ok(at) => {
                let took = evidence.since(fault.injected, at);
                let summary = format!("every ISR was just the survivors after {}", readable(took));
                Finding::measured(self, evidence, None, took as f64, summary).with("shrunk_after_ms", took)
            }
            Err(lacking) => Finding::of(false, format!("not the survivors: {}", lacking.join("; "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

//! isr-restored: at the end every replica is in sync again.

use crate::timeline::conditions;
use crate::verdicts::checks::readable;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure, Status};

/// Every ISR is full.
pub struct IsrRestored;

impl Check for IsrRestored {
    fn id(&self) -> &'static str {
        "isr-restored"
    }

    fn meaning(&self) -> &'static str {
        "every partition has all its replicas in sync at the end"
    }

    fn source(&self) -> &'static str {
        "Kafka: under-replicated partitions are 0 in a healthy cluster"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Time)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let count = evidence.expected.partitions().count();
        let full = |view: &_| conditions::isr_is_survivors(view, &evidence.expected);
        if evidence.faults.is_empty() {
            let lacking = full(&evidence.after);
            return if lacking.is_empty() {
                Finding::new(
                    Status::Passed,
                    format!("all {count} partitions have every replica in sync"),
                )
                .with("partitions", count)
            } else {
                Finding::of(false, lacking.join("; "))
            };
        }
        if let Some(left) = evidence.faults.iter().find(|fault| fault.undone.is_none()) {
            return Finding::skipped(format!("{} was left in place", left.words()));
        }
        let undone = evidence
            .faults
            .iter()
            .filter_map(|fault| fault.undone)
            .max()
            .unwrap_or_default();
        match evidence.held_since(undone, None, full) {
            Ok(at) => {
                let took = evidence.since(undone, at);
                let summary = format!(
                    "all {count} partitions had every replica in sync {} after the fault was undone",
                    readable(took)
                );
                Finding::measured(self, evidence, None, took as f64, summary)
                    .with("partitions", count)
                    .with("restored_after_ms", took)
            }
            Err(lacking) => Finding::of(false, lacking.join("; ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn an_isr_that_does_not_grow_back_fails_and_a_fault_left_in_place_skips() {
        assert_eq!(IsrRestored.judge(&Drill::good().evidence()).status, Status::Passed);
        assert_eq!(
            IsrRestored.judge(&Drill::good().never_recovers().evidence()).status,
            Status::Failed
        );
        assert_eq!(
            IsrRestored.judge(&Drill::good().left_in_place().evidence()).status,
            Status::Skipped
        );
    }

    #[test]
    fn the_time_counts_from_the_last_fault_that_was_undone() {
        let twice = Drill::good().beside_fault(9, &["kafka3"], 21, Some(24));
        let finding = IsrRestored.judge(&twice.evidence());
        assert_eq!(finding.status, Status::Passed, "{}", finding.summary);
        assert_eq!(finding.measured["restored_after_ms"], 1_000);
    }
}

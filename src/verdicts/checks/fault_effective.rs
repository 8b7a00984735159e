//! fault-effective: a drill whose fault did not take effect says nothing about the lab.

use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Status};

/// The fault was proven to have taken effect.
pub struct FaultEffective;

impl Check for FaultEffective {
    fn id(&self) -> &'static str {
        "fault-effective"
    }

    fn meaning(&self) -> &'static str {
        "the fault was proven to have taken effect"
    }

    fn source(&self) -> &'static str {
        "khd: a fault is proven before it is judged"
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let Some(first) = evidence.faults.first() else {
            return Finding::skipped("no fault was injected");
        };
        if let Some(fault) = evidence.faults.iter().find(|fault| fault.effective.is_none()) {
            return Finding::new(
                Status::Unknown,
                format!("nothing shows that {} took effect", fault.words()),
            );
        }
        let took = evidence.faults.iter().filter_map(|fault| {
            let (place, _) = fault.effective.as_ref()?;
            Some(evidence.since(fault.injected, evidence.events[*place].elapsed_ms))
        });
        let slowest = took.max().unwrap_or_default();
        let summary = match (&first.effective, evidence.faults.len()) {
            (Some((_, proof)), 1) => proof.clone(),
            (_, count) => format!("each of {count} faults was proven"),
        };
        Finding::new(Status::Passed, summary)
            .with("faults", evidence.faults.len())
            .with("took_effect_after_ms", slowest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn a_fault_without_proof_is_unknown_and_never_passed() {
        assert_eq!(FaultEffective.judge(&Drill::good().evidence()).status, Status::Passed);
        assert_eq!(
            FaultEffective.judge(&Drill::good().without_proof().evidence()).status,
            Status::Unknown
        );
    }

    #[test]
    fn one_fault_of_several_without_proof_is_enough_to_be_unknown() {
        let two = Drill::good().beside_fault(9, &["kafka3"], 10, Some(15));
        let proven = FaultEffective.judge(&two.clone().evidence());
        assert_eq!(
            (proven.status, &*proven.summary),
            (Status::Passed, "each of 2 faults was proven")
        );
        let unproven = FaultEffective.judge(&two.without_proof().evidence());
        assert_eq!(unproven.status, Status::Unknown);
        assert!(unproven.summary.contains("stop of kafka2"), "{}", unproven.summary);
    }
}

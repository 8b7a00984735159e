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
        let Some(fault) = &evidence.fault else {
            return Finding::skipped("no fault was injected");
        };
        match &fault.effective {
            Some((place, proof)) => {
                let took = evidence.since(fault.injected, evidence.events[*place].elapsed_ms);
                Finding::new(Status::Passed, proof.clone())
                    .with("fault", fault.fault.clone())
                    .with("target", fault.target.clone())
                    .with("took_effect_after_ms", took)
            }
            None => Finding::new(
                Status::Unknown,
                format!("nothing shows that {} of {} took effect", fault.fault, fault.target),
            )
            .with("fault", fault.fault.clone())
            .with("target", fault.target.clone()),
        }
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
}

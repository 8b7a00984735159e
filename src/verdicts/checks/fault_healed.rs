//! fault-healed: what a fault had broken works again after it was undone.

use crate::verdicts::evidence::{Evidence, FaultTimes};
use crate::verdicts::{Check, Finding, Status};

/// Every fault that was undone was proven to be healed.
pub struct FaultHealed;

impl Check for FaultHealed {
    fn id(&self) -> &'static str {
        "fault-healed"
    }

    fn meaning(&self) -> &'static str {
        "every fault that was undone was proven to be healed"
    }

    fn source(&self) -> &'static str {
        "khd: what is undone is proven to work again"
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let undone: Vec<&FaultTimes> = evidence.faults.iter().filter(|fault| fault.undone.is_some()).collect();
        let Some(last) = undone.last() else {
            return Finding::skipped(match evidence.faults.first() {
                Some(fault) => format!("{} was left in place", fault.words()),
                None => "no fault was injected".to_owned(),
            });
        };
        if let Some(sick) = undone.iter().find(|fault| fault.healed.is_none()) {
            let lacking = lacking(evidence, sick);
            let why = if lacking.is_empty() {
                "nothing shows that it is"
            } else {
                &lacking
            };
            return Finding::of(false, format!("{} was undone and is not healed: {why}", sick.words()));
        }
        let took = undone.iter().filter_map(|fault| {
            let (place, _) = fault.healed.as_ref()?;
            Some(evidence.since(fault.undone?, evidence.events[*place].elapsed_ms))
        });
        let slowest = took.max().unwrap_or_default();
        let summary = match (&last.healed, undone.len()) {
            (Some((_, proof)), 1) => proof.clone(),
            (_, count) => format!("each of {count} faults was proven to be healed"),
        };
        Finding::new(Status::Passed, summary)
            .with("faults", undone.len())
            .with("healed_after_ms", slowest)
    }
}

/// What the step that undid a fault saw last.
fn lacking(evidence: &Evidence, fault: &FaultTimes) -> String {
    let Some(undone) = fault.undone else {
        return String::new();
    };
    let mut steps = evidence.steps.iter();
    let undid = steps.find(|step| {
        let ran = step.began < undone && step.ended.is_none_or(|ended| undone < ended);
        let undoes = matches!(step.sort.as_str(), "restore" | "undo") || step.step == fault.id;
        ran && undoes && !step.lacking.is_empty()
    });
    undid.map_or_else(String::new, |step| step.lacking.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn a_fault_that_is_undone_and_does_not_heal_fails_with_what_was_lacking() {
        let good = FaultHealed.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert_eq!(good.measured["healed_after_ms"], 2_000);
        let sick = FaultHealed.judge(&Drill::good().never_heals().evidence());
        assert_eq!(sick.status, Status::Failed);
        assert_eq!(
            sick.summary,
            "stop of kafka2 was undone and is not healed: kafka2 does not answer"
        );
    }

    #[test]
    fn a_fault_that_was_left_or_never_was_is_skipped() {
        for drill in [Drill::good().left_in_place(), Drill::good().without_fault()] {
            let finding = FaultHealed.judge(&drill.evidence());
            assert_eq!(finding.status, Status::Skipped, "{}", finding.summary);
        }
    }
}

//! steps: what a drill waited for came true.

use crate::verdicts::evidence::{Evidence, StepTimes};
use crate::verdicts::{Check, Finding, Status};

/// Every step that waited for something, or undid something, saw it come true.
pub struct Steps;

impl Check for Steps {
    fn id(&self) -> &'static str {
        "steps"
    }

    fn meaning(&self) -> &'static str {
        "everything that the drill waited for came true in the time that it gave, all that it undid healed, and each phase that it \
         migrated to was reached"
    }

    fn source(&self) -> &'static str {
        "khd: a drill says what it waits for, and for how long"
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let waits = |step: &&StepTimes| matches!(step.sort.as_str(), "until" | "restore" | "migrate");
        let waits: Vec<&StepTimes> = evidence.steps.iter().filter(waits).collect();
        if waits.is_empty() {
            return Finding::skipped("the run waited for nothing");
        }
        // A fault without effect ends the steps beside it.
        let (cut_off, waited): (Vec<&StepTimes>, Vec<&StepTimes>) = waits
            .into_iter()
            .partition(|step| step.ended.is_none() || step.lacking == ["interrupted"]);
        let failed: Vec<String> = waited
            .iter()
            .filter(|step| !step.lacking.is_empty())
            .map(|step| format!("{}: {}", step.words, step.lacking.join("; ")))
            .collect();
        if !failed.is_empty() {
            return Finding::of(false, failed.join(", and "));
        }
        if let Some(step) = cut_off.first() {
            return Finding::new(Status::Unknown, format!("{}: it did not come to its end", step.words));
        }
        let count = waited.len();
        let summary = match count {
            1 => "what the run waited for came true".to_owned(),
            _ => format!("each of {count} things that the run waited for came true"),
        };
        Finding::new(Status::Passed, summary).with("steps", count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn a_step_that_does_not_come_true_fails_with_its_words_and_what_was_lacking() {
        let good = Steps.judge(&Drill::good().evidence());
        assert_eq!((good.status, &good.measured["steps"]), (Status::Passed, &2.into()));
        let stuck = Steps.judge(&Drill::good().leaders_stay().evidence());
        assert_eq!(stuck.status, Status::Failed);
        assert_eq!(
            stuck.summary,
            "wait until settled, for at most 53s: leaders did not move"
        );
        let sick = Steps.judge(&Drill::good().never_heals().evidence());
        assert_eq!(
            (sick.status, &*sick.summary),
            (Status::Failed, "undo it: kafka2 does not answer")
        );
    }

    #[test]
    fn a_run_that_waits_for_nothing_is_skipped_and_a_wait_that_was_cut_off_is_unknown() {
        let nothing = Steps.judge(&Drill::good().without_fault().evidence());
        assert_eq!(nothing.status, Status::Skipped);
        let mut evidence = Drill::good().evidence();
        evidence.steps[0].lacking = vec!["interrupted".into()];
        assert_eq!(Steps.judge(&evidence).status, Status::Unknown);
    }
}

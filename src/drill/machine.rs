//! The course of a drill: which phase follows which outcome. A pure function; nothing here waits or touches anything.
//!
//! ```text
//! healthy → inject → effect → settle → hold → restore → recover → audit → judge
//!    │         └────────┴────────┴───────┴──→ restore on interruption or failure
//!    └→ untouched
//! ```
//! Once a fault may be in place, every way to the end leads through `restore`, unless the user asked to leave it.

use serde::{Deserialize, Serialize};

use crate::timeline::conditions::Lacking;

/// A phase of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The lab has to be healthy before anything is touched.
    Healthy,
    /// The fault is journaled and injected.
    Inject,
    /// The fault has to be proven.
    Effect,
    /// Leaders, ISRs, controller and group have to settle without the target.
    Settle,
    /// The fault stays in place while the workload runs.
    Hold,
    /// The fault is undone.
    Restore,
    /// The lab has to become whole again.
    Recover,
    /// Ledgers and log are collected and compared.
    Audit,
}

impl Phase {
    /// Its name in timelines and on terminals.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Inject => "inject",
            Self::Effect => "effect",
            Self::Settle => "settle",
            Self::Hold => "hold",
            Self::Restore => "restore",
            Self::Recover => "recover",
            Self::Audit => "audit",
        }
    }
}

/// How a phase went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// What it was for is done or true.
    Done,
    /// Its deadline passed; this was still lacking.
    Expired(Lacking),
    /// The engine or the evidence failed.
    Failed(String),
    /// A signal came.
    Interrupted,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Run this phase.
    Run(Phase),
    /// The drill is over.
    End(Ending),
}

/// How a drill ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// There is evidence to judge.
    Judge,
    /// The lab was not healthy before anything began, and was left untouched.
    Untouched(Lacking),
    /// The evidence could not be collected.
    NoEvidence(String),
    /// A signal ended it; no fault is left in place, but for one that was held already and should be left.
    Interrupted,
    /// Something broke.
    Broken {
        /// What.
        error: String,
        /// Whether the fault is still in place, journaled.
        fault_in_place: bool,
    },
}

/// A drill on its way.
#[derive(Debug, Clone)]
pub struct Machine {
    leave: bool,
    phase: Phase,
    /// How it has to end once the fault is undone, when it cannot go on to be judged.
    cut_short: Option<Ending>,
}

impl Machine {
    /// A drill about to begin with [`Phase::Healthy`]; with `leave` the fault stays in place at its end.
    pub fn new(leave: bool) -> Self {
        Self {
            leave,
            phase: Phase::Healthy,
            cut_short: None,
        }
    }

    /// The phase that is being run.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Takes the outcome of the phase that was run, and says what comes next.
    pub fn advance(&mut self, outcome: Outcome) -> Next {
        let next = self.follow(outcome);
        if let Next::Run(phase) = &next {
            self.phase = *phase;
        }
        next
    }

    fn follow(&mut self, outcome: Outcome) -> Next {
        use Phase::{Audit, Effect, Healthy, Hold, Inject, Recover, Restore, Settle};
        match (self.phase, outcome) {
            (Healthy, Outcome::Done) => Next::Run(Inject),
            (Healthy, Outcome::Expired(lacking)) => Next::End(Ending::Untouched(lacking)),
            (Audit, Outcome::Failed(error)) => Next::End(Ending::NoEvidence(error)),
            (Healthy, outcome) | (Recover | Audit, outcome @ (Outcome::Interrupted | Outcome::Failed(_))) => {
                Next::End(ending(outcome, false))
            }

            (Inject, Outcome::Done) => Next::Run(Effect),
            (Effect, Outcome::Done) => Next::Run(Settle),
            // A fault without effect is of no use to anybody: it is undone even where it should have been left.
            (Effect, Outcome::Expired(_)) => Next::Run(Restore),
            // Leaders that do not move are for the verdicts to judge, not a reason to look away.
            (Settle, Outcome::Done | Outcome::Expired(_)) => Next::Run(Hold),
            (Hold, Outcome::Done | Outcome::Expired(_)) => Next::Run(if self.leave { Audit } else { Restore }),
            (Inject | Effect | Settle | Hold, outcome) => {
                self.cut_short = Some(ending(outcome, false));
                Next::Run(Restore)
            }

            (Restore, Outcome::Done) => match self.cut_short.take() {
                Some(ending) => Next::End(ending),
                None => Next::Run(Recover),
            },
            (Restore, outcome) => Next::End(ending(outcome, true)),

            (Recover, Outcome::Done | Outcome::Expired(_)) => Next::Run(Audit),
            (Audit, Outcome::Done | Outcome::Expired(_)) => Next::End(Ending::Judge),
        }
    }
}

fn ending(outcome: Outcome, fault_in_place: bool) -> Ending {
    let error = match outcome {
        Outcome::Interrupted if !fault_in_place => return Ending::Interrupted,
        Outcome::Interrupted => "interrupted".into(),
        Outcome::Failed(error) => error,
        Outcome::Expired(lacking) => lacking.join("; "),
        Outcome::Done => "done".into(),
    };
    Ending::Broken { error, fault_in_place }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a machine against outcomes, and returns the phases that were run and how it ended.
    fn run(leave: bool, mut outcome: impl FnMut(Phase) -> Outcome) -> (Vec<Phase>, Ending) {
        let mut machine = Machine::new(leave);
        let mut phases = Vec::new();
        loop {
            phases.push(machine.phase());
            assert!(phases.len() < 20, "a drill that does not end: {phases:?}");
            if let Next::End(ending) = machine.advance(outcome(machine.phase())) {
                return (phases, ending);
            }
        }
    }

    #[test]
    fn a_drill_without_trouble_runs_every_phase_and_is_judged() {
        use Phase::{Audit, Effect, Healthy, Hold, Inject, Recover, Restore, Settle};
        let (phases, ending) = run(false, |_| Outcome::Done);
        assert_eq!(phases, [Healthy, Inject, Effect, Settle, Hold, Restore, Recover, Audit]);
        assert_eq!(ending, Ending::Judge);
        let (phases, ending) = run(true, |_| Outcome::Done);
        assert_eq!(phases, [Healthy, Inject, Effect, Settle, Hold, Audit]);
        assert_eq!(ending, Ending::Judge);
    }

    #[test]
    fn an_unhealthy_lab_is_left_untouched() {
        let (phases, ending) = run(false, |_| Outcome::Expired(vec!["kafka3 does not answer".into()]));
        assert_eq!(phases, [Phase::Healthy]);
        assert_eq!(ending, Ending::Untouched(vec!["kafka3 does not answer".into()]));
    }

    #[test]
    fn a_fault_that_cannot_be_undone_is_said_to_be_in_place() {
        let (_, ending) = run(false, |phase| match phase {
            Phase::Restore => Outcome::Failed("the engine is gone".into()),
            _ => Outcome::Done,
        });
        assert_eq!(
            ending,
            Ending::Broken {
                error: "the engine is gone".into(),
                fault_in_place: true
            }
        );
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            6 => Just(Outcome::Done),
            1 => Just(Outcome::Expired(vec!["something".into()])),
            1 => Just(Outcome::Failed("trouble".into())),
            1 => Just(Outcome::Interrupted),
        ]
    }

    proptest! {
        #[test]
        fn whatever_happens_an_injected_fault_is_undone_left_on_purpose_or_named(
            leave: bool,
            outcomes in prop::collection::vec(any_outcome(), 20),
        ) {
            let mut outcomes = outcomes.into_iter();
            let mut restored = false;
            let (phases, ending) = run(leave, |phase| {
                let outcome = outcomes.next().unwrap();
                restored |= phase == Phase::Restore && outcome == Outcome::Done;
                outcome
            });
            let injected = phases.contains(&Phase::Inject);
            let named = matches!(ending, Ending::Broken { fault_in_place: true, .. });
            let left = leave && phases.contains(&Phase::Audit);
            prop_assert!(!injected || restored || named || left, "{phases:?} {ending:?}");
            prop_assert!(!(restored && named), "{phases:?} {ending:?}");
        }

        #[test]
        fn an_interruption_is_never_judged(at in 0usize..8) {
            let mut step = 0;
            let (_, ending) = run(false, |phase| {
                step += 1;
                if step == at + 1 && phase != Phase::Restore { Outcome::Interrupted } else { Outcome::Done }
            });
            // The restore phase itself cannot be interrupted.
            prop_assert_eq!(ending == Ending::Judge, at == 5);
        }
    }
}

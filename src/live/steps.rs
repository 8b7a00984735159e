//! The steps of a run and how far each has come: the fold of the events about steps.

use std::collections::BTreeMap;

use crate::timeline::event::{Event, Kind};

/// A step of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What it does, in words.
    pub words: String,
    /// How far it has come.
    pub state: State,
}

/// How far a step has come. Times are in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It is still to come.
    Planned,
    /// It runs since then, counted from the start of the run.
    Running(u64),
    /// What it waited for came true; how long it took.
    Done(u64),
    /// What it waited for did not come true; how long it took.
    Failed(u64),
}

/// Steps by their numbers.
#[derive(Debug, Default)]
pub struct Steps(BTreeMap<u32, Step>);

impl Steps {
    /// Folds an event in.
    pub fn take(&mut self, event: &Event) {
        match &event.kind {
            Kind::StepsPlanned { steps, .. } => {
                let planned = steps.iter().map(|words| Step {
                    words: words.clone(),
                    state: State::Planned,
                });
                self.0 = (0..).zip(planned).collect();
            }
            Kind::StepStarted { step, words, .. } => {
                let begun = Step {
                    words: words.clone(),
                    state: State::Running(event.elapsed_ms),
                };
                self.0.insert(*step, begun);
            }
            Kind::StepEnded { step, ok, .. } => {
                if let Some(step) = self.0.get_mut(step)
                    && let State::Running(since) = step.state
                {
                    let took = event.elapsed_ms.saturating_sub(since);
                    step.state = if *ok { State::Done(took) } else { State::Failed(took) };
                }
            }
            _ => {}
        }
    }

    /// The steps, in order of their numbers.
    pub fn all(&self) -> Vec<Step> {
        self.0.values().cloned().collect()
    }
}

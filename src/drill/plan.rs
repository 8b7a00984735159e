//! What a drill shall do, as data.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::drill::condition::Condition;
use crate::faults::How;
use crate::faults::selector::Selector;
use crate::settings::duration;
use crate::timeline::limits::Limits;
use crate::topology::migration::Phase;

/// A drill, ready to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Its name.
    pub drill: String,
    /// What is done, in order, once the lab is healthy; what is left of it is undone at the end.
    pub steps: Vec<Step>,
    /// Leave the faults that are in place after the last step.
    pub leave: bool,
    /// Decides all that is random.
    pub seed: u64,
    /// Limits that the verdicts are judged by.
    pub limits: Limits,
    /// Checks that do not apply, by id, each with the reason.
    pub skip: BTreeMap<String, String>,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Does one thing.
    Do(Action),
    /// Does several rows of steps at once, and goes on when all are done.
    Parallel(Vec<Vec<Step>>),
}

/// What one step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Injects a fault and proves it.
    Fail(Fail),
    /// Undoes the fault of that label, or all that are in place, and proves that it healed.
    Restore(Option<String>),
    /// Waits until something is true of the lab.
    Until {
        /// What.
        condition: Condition,
        /// How long it may take.
        within: Duration,
    },
    /// Lets the workload run for a while.
    Wait(Duration),
    /// Changes how many containers of a service of clients run.
    Scale {
        /// The service.
        service: String,
        /// How many.
        replicas: u16,
    },
    /// Brings the cluster to another phase of its migration from ZooKeeper to KRaft.
    Migrate(Phase),
    /// Says something to the reader.
    Note(String),
}

/// A fault to be injected.
#[derive(Debug, Clone, PartialEq)]
pub struct Fail {
    /// Its name within the drill, by which it is restored.
    pub label: String,
    /// Whom it hits.
    pub targets: Vec<Selector>,
    /// What is done.
    pub how: How,
}

impl Plan {
    /// What all of its steps do, in the order in which they are numbered.
    pub fn actions(&self) -> Vec<&Action> {
        fn of(steps: &[Step]) -> Vec<&Action> {
            let each = steps.iter().map(|step| match step {
                Step::Do(action) => vec![action],
                Step::Parallel(rows) => rows.iter().flat_map(|row| of(row)).collect(),
            });
            each.flatten().collect()
        }
        of(&self.steps)
    }

    /// One fault, held for a while and until the lab has settled without its targets, and then undone. One that is left is held
    /// once the lab has settled: the rest has to go on for as long.
    pub fn of_one(fail: Fail, hold: Duration, leave: bool, limits: Limits, seed: u64) -> Self {
        let words: Vec<String> = fail.targets.iter().map(Selector::to_string).collect();
        let drill = format!("{}-{}", fail.how.name(), words.join("-"));
        let label = fail.label.clone();
        let stays = fail.how.fault().stays();
        let within = limits.get("leaders-moved").map_or(0.0, |bound| bound.value);
        // The group can only settle after the leaders did.
        let within = Duration::from_secs_f64(within / 1000.0) + Duration::from_secs(30);
        let settled = Action::Until {
            condition: Condition::Settled,
            within,
        };
        let (hold, restore) = (Action::Wait(hold), Action::Restore(Some(label)));
        let after = match (stays, leave) {
            (false, _) => vec![settled],
            (true, true) => vec![settled, hold],
            // Settled last, so that it is when the fault is undone.
            (true, false) => vec![hold, settled, restore],
        };
        let steps = [Action::Fail(fail)].into_iter().chain(after).map(Step::Do).collect();
        Self {
            drill,
            steps,
            leave,
            seed,
            limits,
            skip: BTreeMap::new(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fail(fail) => write!(f, "{fail}"),
            Self::Restore(Some(label)) => write!(f, "undo {label}"),
            Self::Restore(None) => f.write_str("undo every fault"),
            Self::Until { condition, within } => {
                write!(f, "wait until {condition}, for at most {}", duration::format(*within))
            }
            Self::Wait(time) => write!(f, "let the workload run for {}", duration::format(*time)),
            Self::Scale { service, replicas } => write!(f, "scale {service} to {replicas}"),
            Self::Migrate(phase) => write!(f, "migrate to {phase}"),
            Self::Note(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.how.name())?;
        for target in &self.targets {
            write!(f, " {target}")?;
        }
        for (option, value) in self.how.options() {
            match value {
                serde_json::Value::String(text) => write!(f, " {option}={text}")?,
                value => write!(f, " {option}={value}")?,
            }
        }
        Ok(())
    }
}

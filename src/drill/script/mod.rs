//! Drills as people write them: YAML → [`Script`] → [`Plan`].
//!
//! `node` is YAML with places, `read` turns it into a script and finds what is wrong, [`schema`] is the same for
//! editors, [`shipped`] holds the drills that come with khd.

mod fields;
mod node;
mod problem;
mod read;
pub mod schema;
pub mod shipped;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::drill::plan::{self, Action, Plan};
use crate::drill::soak::{Soak, schedule};
use crate::error::Expected;
use crate::settings::{Flavor, Settings, load};
use crate::timeline::limits::Limits;
use crate::topology::Topology;

pub use problem::{Problem, Problems};
pub use read::NAME_RULE;

/// A drill.
#[derive(Debug, Clone, PartialEq)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// What it shows, in a sentence.
    pub purpose: String,
    /// By which it is found.
    pub tags: Vec<String>,
    /// Flavors of labs that it is made for; none for any.
    pub flavors: Vec<Flavor>,
    /// Settings of the lab that it wants, by their own paths.
    pub lab: Value,
    /// What is done.
    pub course: Course,
    /// What is expected of measured values.
    pub expect: Limits,
    /// Checks that do not apply, by id, each with the reason.
    pub skip: BTreeMap<String, String>,
}

/// What is done.
#[derive(Debug, Clone, PartialEq)]
pub enum Course {
    /// These steps.
    Steps(Vec<Step>),
    /// A mix that is drawn by lot.
    Soak(Soak),
}

/// A step as it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Does one thing.
    Do(Action),
    /// Does its steps that many times.
    Repeat(u32, Vec<Step>),
    /// Does its rows at once.
    Parallel(Vec<Vec<Step>>),
}

/// The tag of drills in which messages are lost on purpose: the lab's log is not the same after them.
pub const NEGATIVE: &str = "negative";

impl Script {
    /// Reads a drill for a lab of these settings.
    ///
    /// # Errors
    /// All that is wrong with it, with places; `file` is what it is called there.
    pub fn read(file: &str, text: &str, base: &Settings) -> Result<Self, Problems> {
        read::read(text, base).map_err(|mut list| {
            list.sort_by_key(|problem| problem.at);
            Problems {
                file: file.to_owned(),
                list,
            }
        })
    }

    /// The settings of the lab that it wants, where the lab has these.
    ///
    /// # Errors
    /// When its own do not go with them.
    pub fn settings(&self, base: &Settings) -> Result<Settings, Expected> {
        load::over(base, &self.lab)
    }

    /// Whether it has that tag.
    pub fn is_tagged(&self, tag: &str) -> bool {
        self.tags.iter().any(|own| own == tag)
    }

    /// Why it has no meaning in labs of that flavor, where it has none.
    pub fn unsuited(&self, flavor: Flavor) -> Option<String> {
        let suits = self.flavors.is_empty() || self.flavors.contains(&flavor);
        (!suits).then(|| {
            let made: Vec<String> = self.flavors.iter().map(Flavor::to_string).collect();
            format!("it is made for flavor {}, and this lab is {flavor}", made.join(" or "))
        })
    }

    /// Its steps one by one, under limits that its own expectations go over; a soak is drawn by the seed from the faults
    /// whose targets the lab has, and takes `length` where that is given.
    pub fn plan(&self, topology: &Topology, mut limits: Limits, seed: u64, length: Option<Duration>) -> Plan {
        limits.extend(self.expect.clone());
        Plan {
            drill: self.name.clone(),
            steps: match &self.course {
                Course::Steps(steps) => unrolled(steps),
                Course::Soak(soak) => schedule(&soak.of(topology), seed, length.unwrap_or(soak.length)),
            },
            leave: false,
            seed,
            limits,
            skip: self.skip.clone(),
        }
    }
}

fn unrolled(steps: &[Step]) -> Vec<plan::Step> {
    let mut all = Vec::new();
    for step in steps {
        match step {
            Step::Do(action) => all.push(plan::Step::Do(action.clone())),
            Step::Repeat(times, steps) => {
                for _ in 0..*times {
                    all.extend(unrolled(steps));
                }
            }
            Step::Parallel(rows) => all.push(plan::Step::Parallel(rows.iter().map(|row| unrolled(row)).collect())),
        }
    }
    all
}

//! What khd tells the exporter of what it does to the lab.

use serde::{Deserialize, Serialize};

/// What khd does to a lab, as it stands now. It is replaced as a whole whenever that changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Notice {
    /// Faults in place, each with one of its targets.
    pub faults: Vec<Fault>,
    /// The run that goes on, or the last one.
    pub run: String,
    /// Steps of it that go on.
    pub steps: Vec<Step>,
    /// Verdicts of it, once it was judged.
    pub verdicts: Vec<Verdict>,
}

/// A fault in place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Its name.
    pub fault: String,
    /// What it hits.
    pub target: String,
}

/// A step that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What sort of step it is.
    pub sort: String,
    /// What it does, in words.
    pub words: String,
}

/// A verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The check that gave it.
    pub check: String,
    /// `passed`, `failed`, `unknown` or `skipped`.
    pub verdict: String,
}

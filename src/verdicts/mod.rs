//! Judging a run from its files alone.
//!
//! [`evidence`] loads a run's folder, [`moments`] says when the lab can be looked at; each file in [`checks`] is one
//! [`Check`], self-describing and pure; [`judge`] runs the registry. Checks of messages judge [`messages`], which come from a run or from anyone's
//! [history](crate::history). To add a check, write its file and add it to [`checks::ALL`].

pub mod checks;
mod copies;
pub mod evidence;
pub mod expect;
pub mod messages;
pub mod moments;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Exit;
use crate::timeline::limits::Bound;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Found, Messages};

/// One judge: it reads the evidence and gives a verdict.
pub trait Check: Sync {
    /// Its id, by which users and scripts know it.
    fn id(&self) -> &'static str;

    /// What it tells, in one line.
    fn meaning(&self) -> &'static str;

    /// Where its definition comes from.
    fn source(&self) -> &'static str;

    /// What it measures, where it measures one value: a limit can be put on that.
    fn measure(&self) -> Option<Measure> {
        None
    }

    /// Judges. The same evidence always gives the same finding.
    fn judge(&self, evidence: &Evidence) -> Finding;
}

/// A judge of messages: of a run's, or of a history that anyone wrote.
pub trait MessageCheck: Check {
    /// Finds the anomalies that it is about.
    fn find(&self, messages: &Messages) -> Found;
}

/// What the one value is that a check measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// A time, in milliseconds.
    Time,
    /// A number of messages, or of whatever else is counted.
    Count,
    /// A share, from 0 to 1.
    Share,
}

impl Measure {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Count => "count",
            Self::Share => "share",
        }
    }
}

/// How a verdict turned out, the worst last, so that the greatest of several is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It holds.
    Passed,
    /// It does not apply to this run, for a reason that is given.
    Skipped,
    /// There is nothing to judge by.
    NoData,
    /// Nothing moved where something had to.
    Hung,
    /// It cannot be told.
    Unknown,
    /// It does not hold.
    Failed,
}

impl Status {
    /// The word for it in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::NoData => "no-data",
            Self::Hung => "hung",
            Self::Unknown => "unknown",
            Self::Failed => "failed",
        }
    }

    /// The exit code of a run that is as good as this.
    pub fn exit(self) -> Exit {
        match self {
            Self::Passed => Exit::Passed,
            Self::Failed => Exit::Failed,
            Self::Skipped | Self::NoData | Self::Hung | Self::Unknown => Exit::NoVerdict,
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How it turned out.
    pub status: Status,
    /// One sentence with what was measured.
    pub summary: String,
    /// What was measured, by name; times in milliseconds end in `_ms`.
    pub measured: Map<String, Value>,
}

impl Finding {
    /// A finding without measurements.
    pub fn new(status: Status, summary: impl Into<String>) -> Self {
        Self {
            status,
            summary: summary.into(),
            measured: Map::new(),
        }
    }

    /// Passed or failed.
    pub fn of(passed: bool, summary: impl Into<String>) -> Self {
        Self::new(if passed { Status::Passed } else { Status::Failed }, summary)
    }

    /// Passed or failed, by whether a measured value keeps its limit: the run's, or else `default`, or else any.
    ///
    /// The limit is shown where it is not the one that everybody expects (no anomaly at all).
    pub fn measured(
        check: &dyn Check,
        evidence: &Evidence,
        default: Option<Bound>,
        value: f64,
        summary: impl Into<String>,
    ) -> Self {
        let set = evidence.limits.get(check.id()).copied();
        // That there should be no anomaly at all need not be said.
        let said = set.or(default.filter(|bound| *bound != Bound::at_most(0.0)));
        let told = said.zip(check.measure());
        let mut summary = summary.into();
        if let Some((bound, measure)) = told {
            summary = format!("{summary} (limit {} {})", bound.op, measure.told(bound.value));
        }
        let holds = set.or(default).is_none_or(|bound| bound.holds(value));
        let finding = Self::of(holds, summary).with("value", value);
        match told {
            Some((bound, _)) => finding.with("limit_op", bound.op.sign()).with("limit", bound.value),
            None => finding,
        }
    }

    /// Does not apply to this run.
    pub fn skipped(reason: impl Into<String>) -> Self {
        Self::new(Status::Skipped, reason)
    }

    /// Adds a measurement.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.measured.insert(name.into(), value.into());
        self
    }
}

/// A check's finding under the check's id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Id of the check.
    pub id: String,
    /// How it turned out.
    pub status: Status,
    /// One sentence with what was measured.
    pub summary: String,
    /// What was measured, by name.
    pub measured: Map<String, Value>,
}

/// Judges a run by every check there is.
pub fn judge(evidence: &Evidence) -> Vec<Verdict> {
    let verdict = |check: &dyn Check| {
        let mut finding = match evidence.skip.get(check.id()) {
            Some(reason) => Finding::skipped(reason.clone()),
            None => check.judge(evidence),
        };
        let judged = finding.measured.contains_key("value") || finding.status > Status::Skipped;
        if evidence.asked(check) && !judged {
            // Whoever asks for a limit must not read from the exit code that it was kept.
            let summary = format!("it cannot be judged as was asked: {}", finding.summary);
            finding = Finding::new(Status::Unknown, summary);
        }
        Verdict {
            id: check.id().into(),
            status: finding.status,
            summary: finding.summary,
            measured: finding.measured,
        }
    };
    checks::ALL.into_iter().map(verdict).collect()
}

/// The check with this id.
pub fn check(id: &str) -> Option<&'static dyn Check> {
    checks::ALL.into_iter().find(|check| check.id() == id)
}

/// A run is as good as its worst verdict. Skipped ones do not lower it, unless all are skipped.
pub fn overall(verdicts: &[Verdict]) -> Status {
    let judged = verdicts
        .iter()
        .map(|verdict| verdict.status)
        .filter(|status| *status != Status::Skipped);
    judged.max().unwrap_or(Status::Skipped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdicts(statuses: &[Status]) -> Vec<Verdict> {
        let verdict = |status: &Status| Verdict {
            id: "check".into(),
            status: *status,
            summary: String::new(),
            measured: Map::new(),
        };
        statuses.iter().map(verdict).collect()
    }

    #[test]
    fn a_run_is_as_good_as_its_worst_verdict() {
        use Status::{Failed, Hung, NoData, Passed, Skipped, Unknown};
        for (statuses, worst) in [
            (vec![Passed, Skipped], Passed),
            (vec![Skipped, Skipped], Skipped),
            (vec![Passed, NoData, Hung], Hung),
            (vec![Hung, Unknown, NoData], Unknown),
            (vec![Unknown, Failed, Passed], Failed),
        ] {
            assert_eq!(overall(&verdicts(&statuses)), worst);
        }
    }

    #[test]
    fn unknown_and_hung_never_exit_as_passed() {
        for status in [Status::Unknown, Status::Hung, Status::NoData, Status::Skipped] {
            assert_eq!(status.exit(), Exit::NoVerdict);
        }
        assert_eq!(Status::Failed.exit(), Exit::Failed);
    }

    #[test]
    fn every_check_says_what_it_means_and_has_an_id_of_its_own() {
        let ids: std::collections::BTreeSet<_> = checks::ALL.iter().map(|check| check.id()).collect();
        assert_eq!(ids.len(), checks::ALL.len());
        for check in checks::ALL {
            assert!(
                !check.meaning().is_empty() && !check.source().is_empty(),
                "{}",
                check.id()
            );
        }
    }
}

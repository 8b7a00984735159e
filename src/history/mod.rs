//! Histories that anyone's tool can write: what was sent, polled, committed and finally read, one JSON object a line.
//!
//! `line` says what a line may be and `operations` collects them; `identities` and `clock` give values and times their
//! places, and `convert` (with `members`) makes [`Messages`] of all that. [`judge`] has the very checks judge them that
//! judge khd's own runs. Definitions are Jepsen's; the format is described in `docs/formats.md`.

mod clock;
mod convert;
mod identities;
mod line;
mod members;
mod operations;

use std::collections::BTreeMap;
use std::io::BufRead;

use serde::Serialize;

use crate::history::line::Line;
use crate::history::operations::Operations;
use crate::lines;
use crate::verdicts::checks;
use crate::verdicts::messages::{Anomaly, Messages};

/// Longest line in bytes: a final read of millions of records.
const LONGEST_LINE: usize = 256 << 20;

/// Why a history cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for Unreadable {}

/// Reads a history. Empty lines are passed over.
///
/// # Errors
/// At the first line that is no operation, or contradicts what a history can tell.
pub fn read(history: impl BufRead) -> Result<Messages, Unreadable> {
    let mut operations = Operations::default();
    let parse = |line: &[u8]| (!line.trim_ascii().is_empty()).then(|| Line::parse(line));
    lines::read(history, LONGEST_LINE, parse, |number, line| {
        let Some(line) = line else { return Ok(()) };
        let added = line
            .map_err(|error| plain(&error))
            .and_then(|line| operations.add(line, number));
        added.map_err(|reason| Unreadable { line: number, reason })
    })?;
    Ok(operations.messages())
}

impl From<lines::Failure> for Unreadable {
    fn from(failure: lines::Failure) -> Self {
        match failure {
            lines::Failure::Io(line, error) => Self {
                line,
                reason: format!("it cannot be read: {error}"),
            },
            lines::Failure::TooLong(line, longest) => Self {
                line,
                reason: format!("it is longer than {longest} bytes; a final read may be told in several lines"),
            },
        }
    }
}

/// An error of the reader without the place in the line that it believes in: it counts from the line's beginning.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => format!("{reason}, at column {}", error.column()),
        None => text,
    }
}

/// What the checks say of a history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judged {
    /// Whether there is no anomaly.
    pub valid: bool,
    /// The anomalies by the id of the check that found them, and what is `unseen`, which is none.
    pub anomalies: BTreeMap<&'static str, Vec<Anomaly>>,
    /// What is counted and not judged.
    pub counts: BTreeMap<&'static str, u64>,
}

/// Has the checks of messages judge a history.
pub fn judge(messages: &Messages) -> Judged {
    let mut anomalies = BTreeMap::new();
    for check in checks::ANOMALIES {
        anomalies.insert(check.id(), check.find(messages).anomalies);
    }
    let valid = anomalies.values().all(Vec::is_empty);
    anomalies.insert(checks::UNSEEN.id(), checks::UNSEEN.find(messages).anomalies);
    anomalies.retain(|_, found| !found.is_empty());
    let counts = checks::COUNTED.map(|check| (check.id(), check.find(messages).count));
    Judged {
        valid,
        anomalies,
        counts: counts.into_iter().collect(),
    }
}

//! What a run comes to, in one model that every format is fed by: one file a format.
//!
//! [`Judgement`] holds the [`Report`] and the evidence behind it. [`catalog`] lists the runs that are on disk.

pub mod catalog;
pub mod html;
mod json;
pub mod junit;
pub mod lanes;
mod latency;
mod markdown;
mod sentence;
mod table;
#[cfg(test)]
mod testing;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use lanes::Lanes;
pub use latency::Latencies;

use crate::state::RunFolder;
use crate::timeline::event::Kind;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Status, Verdict, check, judge, overall};

/// Version of the report's JSON: grows when a field changes its meaning or goes, not when one is added.
pub const SCHEMA: u32 = 1;

/// How a report is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for people
    #[default]
    Table,
    /// One JSON object
    Json,
    /// JUnit XML for CI servers, a test case for each check
    Junit,
    /// Markdown for the summary of a pull request
    #[value(alias = "md")]
    Markdown,
    /// One HTML page that needs nothing else, with the run drawn as lanes
    Html,
}

impl Format {
    /// The name of a file in this format.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Table => "report.txt",
            Self::Json => "report.json",
            Self::Junit => "report.xml",
            Self::Markdown => "report.md",
            Self::Html => "report.html",
        }
    }
}

/// What a run comes to.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    /// Version of this format.
    pub schema: u32,
    /// The run's name; its folder has the same.
    pub run: String,
    /// Version of khd that recorded it.
    pub khd: String,
    /// The command that recorded it, as typed.
    pub command: String,
    /// When it began.
    pub started: Timestamp,
    /// Milliseconds from its begin to its last event.
    pub duration_ms: u64,
    /// How it ended: `done`, `interrupted`, or an error. `None` when khd was killed, or is still at it.
    pub outcome: Option<String>,
    /// The service that the fault hit, if there was one.
    pub target: Option<String>,
    /// The fault, if there was one.
    pub fault: Option<String>,
    /// The worst of the verdicts.
    pub status: Status,
    /// The outcome in one sentence, for people who do not know Kafka.
    pub sentence: String,
    /// Every verdict; none when the run was not judged.
    pub verdicts: Vec<Explained>,
    /// How long acknowledgements and deliveries took, where the ledgers tell.
    pub latency: Option<Latencies>,
}

/// A verdict with what its check's registration says of the check.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Explained {
    /// Id of the check.
    pub id: String,
    /// What the check tells, in one line.
    pub meaning: &'static str,
    /// Where its definition comes from.
    pub source: &'static str,
    /// How it turned out.
    pub status: Status,
    /// One sentence with what was measured.
    pub summary: String,
    /// What was measured, by name; times in milliseconds end in `_ms`.
    pub measured: Map<String, Value>,
}

impl Explained {
    fn of(verdict: Verdict) -> Self {
        let check = check(&verdict.id);
        Self {
            meaning: check.map_or("", |check| check.meaning()),
            source: check.map_or("", |check| check.source()),
            id: verdict.id,
            status: verdict.status,
            summary: verdict.summary,
            measured: verdict.measured,
        }
    }

    /// The limit that it was judged by, if there was one, in words: `<= 28.0 s`.
    pub fn limit(&self) -> Option<String> {
        let measure = check(&self.id)?.measure()?;
        let op = self.measured.get("limit_op")?.as_str()?;
        let limit = self.measured.get("limit")?.as_f64()?;
        Some(format!("{op} {}", measure.told(limit)))
    }

    /// Milliseconds that passed until what the check is about came true, where it is about that.
    pub fn took_ms(&self) -> Option<u64> {
        let took = self.measured.iter().find(|(name, _)| name.ends_with("_after_ms"));
        took.and_then(|(_, value)| value.as_u64())
    }
}

impl Report {
    /// Sums up a judged run.
    pub fn of(run: String, evidence: &Evidence, verdicts: Vec<Verdict>) -> Self {
        let status = overall(&verdicts);
        let sentence = sentence::of(evidence, &verdicts, status);
        let verdicts = verdicts.into_iter().map(Explained::of).collect();
        Self::new(run, evidence, status, sentence, verdicts)
    }

    fn new(run: String, evidence: &Evidence, status: Status, sentence: String, verdicts: Vec<Explained>) -> Self {
        let first = &evidence.events[0];
        let last = evidence.events.last().unwrap_or(first);
        let (khd, command) = match &first.kind {
            Kind::RunStarted { khd, command, .. } => (khd.clone(), command.clone()),
            _ => (String::new(), String::new()),
        };
        let outcome = match &last.kind {
            Kind::RunEnded { outcome } => Some(outcome.clone()),
            _ => None,
        };
        let fault = evidence.faults.first();
        Self {
            schema: SCHEMA,
            run,
            khd,
            command,
            started: first.wall,
            duration_ms: last.elapsed_ms,
            outcome,
            target: fault.map(|fault| fault.targets.join(", ")),
            fault: fault.map(|fault| fault.fault.clone()),
            status,
            sentence,
            verdicts,
            latency: evidence.ledgers().map(Latencies::of),
        }
    }

    fn what(&self) -> String {
        what(self.fault.as_deref(), self.target.as_deref(), &self.command)
    }
}

/// What a run was about, in few words: `stop kafka2` where there was a fault, otherwise its command without options.
pub fn what(fault: Option<&str>, target: Option<&str>, command: &str) -> String {
    if let (Some(fault), Some(target)) = (fault, target) {
        return format!("{fault} {target}");
    }
    let words = command.split_whitespace().skip(1);
    let words: Vec<&str> = words.take_while(|word| !word.starts_with('-')).collect();
    if words.is_empty() {
        command.to_owned()
    } else {
        words.join(" ")
    }
}

/// A report, and the evidence behind it for formats that draw it.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// What the run comes to.
    pub report: Report,
    /// What it was judged by.
    pub evidence: Evidence,
}

impl Judgement {
    /// Judges a run from its folder alone.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn load(run: &RunFolder) -> anyhow::Result<Self> {
        Ok(Self::of(run.name(), Evidence::load(run)?))
    }

    /// Judges a run by its evidence.
    pub fn of(run: String, evidence: Evidence) -> Self {
        let report = Report::of(run, &evidence, judge(&evidence));
        Self { report, evidence }
    }

    /// Says of a run why it is not judged; there are no verdicts.
    pub fn withheld(run: String, evidence: Evidence, why: &str) -> Self {
        let report = Report::new(run, &evidence, Status::Unknown, why.to_owned(), Vec::new());
        Self { report, evidence }
    }

    /// Writes the report in a format, ending in a line feed; in colour and to a terminal's width if it is for one.
    ///
    /// # Errors
    /// When it cannot be serialized, which would be a defect of khd.
    pub fn render(&self, format: Format, terminal: bool) -> anyhow::Result<String> {
        match format {
            Format::Table => Ok(table::render(&self.report, terminal)),
            Format::Json => json::render(&self.report),
            Format::Junit => junit::render(&self.report),
            Format::Markdown => Ok(markdown::render(&self.report)),
            Format::Html => html::render(&self.report, &Lanes::of(&self.evidence)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_called_by_its_fault_or_else_by_its_command_without_options() {
        for (fault, command, called) in [
            (Some("stop"), "khd fail kafka2 --how stop", "stop kafka2"),
            (None, "khd fail kafka2 --how kill", "fail kafka2"),
            (None, "khd verify --json", "verify"),
            (None, "khd --project second verify", "khd --project second verify"),
        ] {
            assert_eq!(what(fault, Some("kafka2"), command), called);
        }
    }
}

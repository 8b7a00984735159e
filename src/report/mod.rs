//! What a run comes to, in one model that every format is fed by: one file a format.
//!
//! [`Judgement`] holds the [`Report`] and the evidence behind it. [`comparison`] puts several side by side,
//! [`catalog`] lists the runs that are on disk.

pub mod catalog;
pub mod comparison;
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
use crate::verdicts::evidence::{Evidence, FaultTimes};
use crate::verdicts::{Status, Verdict, check, judge, overall};

/// Version of the report's JSON: grows when a field changes its meaning or goes, not when one is added.
pub const SCHEMA: u32 = 2;

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
    /// The drill's name, where the run was one.
    pub drill: Option<String>,
    /// Its faults, in the order in which they were injected.
    pub faults: Vec<FaultTold>,
    /// The worst of the verdicts.
    pub status: Status,
    /// The outcome in one sentence, for people who do not know Kafka.
    pub sentence: String,
    /// Every verdict; none when the run was not judged.
    pub verdicts: Vec<Explained>,
    /// How long acknowledgements and deliveries took, where the ledgers tell.
    pub latency: Option<Latencies>,
}

/// A fault, and when it was in place; times are milliseconds since the run's start.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FaultTold {
    /// Its kind, such as `stop`.
    pub fault: String,
    /// What it hit.
    pub targets: Vec<String>,
    /// Whom the user asked for, where that was a role.
    pub asked: Vec<String>,
    /// Its options, by name.
    pub options: Map<String, Value>,
    /// When it was injected.
    pub injected_ms: u64,
    /// When it was proven, if it was.
    pub effective_ms: Option<u64>,
    /// When it was undone, unless it was left in place.
    pub undone_ms: Option<u64>,
    /// When it was proven to be healed, if it was.
    pub healed_ms: Option<u64>,
    /// What proved that it took effect.
    pub proof: Option<String>,
}

impl FaultTold {
    fn of(fault: &FaultTimes, evidence: &Evidence) -> Self {
        let at = |place: usize| evidence.events[place].elapsed_ms;
        Self {
            fault: fault.fault.clone(),
            targets: fault.targets.clone(),
            asked: fault.asked.clone(),
            options: fault.options.clone(),
            injected_ms: at(fault.injected),
            effective_ms: fault.effective.as_ref().map(|(place, _)| at(*place)),
            undone_ms: fault.undone.map(at),
            healed_ms: fault.healed.as_ref().map(|(place, _)| at(*place)),
            proof: fault.effective.as_ref().map(|(_, proof)| proof.clone()),
        }
    }

    /// It in words: `kill of kafka2 (asked for: leader:test-1/0)`, `loss of kafka1, percent 10`.
    pub fn words(&self) -> String {
        let mut words = format!("{} of {}", self.fault, self.targets.join(", "));
        for (option, value) in &self.options {
            words += &match value {
                Value::String(text) => format!(", {option} {text}"),
                value => format!(", {option} {value}"),
            };
        }
        if !self.asked.is_empty() {
            words += &format!(" (asked for: {})", self.asked.join(", "));
        }
        words
    }

    /// When it was injected, proven, undone and healed, in seconds of the run; a dash where it never was.
    pub fn times(&self) -> [String; 4] {
        let times = [
            Some(self.injected_ms),
            self.effective_ms,
            self.undone_ms,
            self.healed_ms,
        ];
        times.map(|ms| ms.map_or_else(|| "–".to_owned(), |ms| format!("{:.1} s", ms as f64 / 1000.0)))
    }
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
        let drill = evidence.events.iter().find_map(|event| match &event.kind {
            Kind::StepsPlanned { drill, .. } => Some(drill.clone()),
            _ => None,
        });
        let faults = evidence.faults.iter().map(|fault| FaultTold::of(fault, evidence));
        Self {
            schema: SCHEMA,
            run,
            khd,
            command,
            started: first.wall,
            duration_ms: last.elapsed_ms,
            outcome,
            drill,
            faults: faults.collect(),
            status,
            sentence,
            verdicts,
            latency: evidence.ledgers().map(Latencies::of),
        }
    }

    fn what(&self) -> String {
        what(self.drill.as_deref(), &self.command)
    }
}

/// What a run was about, in few words: its drill, such as `stop-kafka2`, otherwise its command without options.
pub fn what(drill: Option<&str>, command: &str) -> String {
    if let Some(drill) = drill {
        return drill.to_owned();
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

/// A number with a comma after each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_called_by_its_drill_or_else_by_its_command_without_options() {
        for (drill, command, called) in [
            (Some("stop-kafka2"), "khd fail kafka2 --how stop", "stop-kafka2"),
            (None, "khd fail kafka2 --how kill", "fail kafka2"),
            (None, "khd verify --json", "verify"),
            (None, "khd --project second verify", "khd --project second verify"),
        ] {
            assert_eq!(what(drill, command), called);
        }
    }

    #[test]
    fn large_numbers_have_a_comma_after_each_three_digits() {
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(grouped),
            ["0", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn a_fault_is_told_with_its_options_and_whom_the_user_asked_for() {
        let mut fault = testing::report().faults.remove(0);
        assert_eq!(fault.words(), "stop of kafka2");
        fault.options.insert("grace".into(), "30s".into());
        fault.options.insert("percent".into(), 10.into());
        fault.asked.push("controller".into());
        assert_eq!(
            fault.words(),
            "stop of kafka2, grace 30s, percent 10 (asked for: controller)"
        );
        fault.healed_ms = None;
        assert_eq!(fault.times(), ["1.0 s", "1.5 s", "23.4 s", "–"]);
    }
}

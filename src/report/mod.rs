//! What a run comes to, in one model that every format is fed by: one file a format.

pub mod html;
mod json;
pub mod lanes;
mod table;

use serde::Serialize;

use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Status, Verdict, overall};

/// How a result is written to stdout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A table for people.
    #[default]
    Table,
    /// One JSON object.
    Json,
}

/// What a run comes to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The run's name; its folder has the same.
    pub run: String,
    /// The service that the fault hit, if there was one.
    pub target: Option<String>,
    /// The fault, if there was one.
    pub fault: Option<String>,
    /// Every verdict.
    pub verdicts: Vec<Verdict>,
    /// The worst of them.
    pub status: Status,
    /// The outcome in one sentence, for people who do not know Kafka.
    pub sentence: String,
}

impl Report {
    /// Sums up a judged run.
    pub fn of(run: String, evidence: &Evidence, verdicts: Vec<Verdict>) -> Self {
        let status = overall(&verdicts);
        let fault = evidence.fault.as_ref();
        Self {
            run,
            target: fault.map(|fault| fault.target.clone()),
            fault: fault.map(|fault| fault.fault.clone()),
            sentence: sentence(evidence, &verdicts, status),
            verdicts,
            status,
        }
    }

    /// Writes the report in a format, ending in a line feed.
    ///
    /// # Errors
    /// When it cannot be serialized, which would be a defect of khd.
    pub fn render(&self, format: Format) -> anyhow::Result<String> {
        match format {
            Format::Table => Ok(table::render(self)),
            Format::Json => json::render(self),
        }
    }
}

fn sentence(evidence: &Evidence, verdicts: &[Verdict], status: Status) -> String {
    let did = match &evidence.fault {
        Some(fault) => {
            let verb = match fault.fault.as_str() {
                "stop" => "stopped".to_owned(),
                "kill" => "killed".to_owned(),
                other => format!("hit by {other}"),
            };
            let until = fault.undone.unwrap_or(evidence.events.len() - 1);
            let seconds = evidence.since(fault.injected, evidence.events[until].elapsed_ms) / 1000;
            match fault.undone {
                Some(_) => format!("{} was {verb} for {seconds} seconds", fault.target),
                None => format!("{} was {verb} and is still down", fault.target),
            }
        }
        None => "The cluster was looked at as it stands".into(),
    };
    let worst: Vec<&Verdict> = verdicts.iter().filter(|v| v.status == status).collect();
    let found = verdicts.iter().find(|v| v.id == "lost-write");
    let acknowledged = found.and_then(|v| v.measured.get("acknowledged")?.as_u64());
    let gap = verdicts.iter().find(|v| v.id == "gap").and_then(|v| {
        let acknowledgement = v.measured.get("acknowledgement")?;
        acknowledgement.get("longest_ms")?.as_u64()
    });
    let whole = match &evidence.fault {
        Some(fault) if fault.undone.is_none() => "the rest of the cluster goes on without it",
        Some(_) => "the cluster is whole again",
        None => "it is whole",
    };
    match status {
        Status::Passed => {
            let kept = acknowledged.map_or_else(String::new, |n| format!(" none of {n} confirmed messages was lost,"));
            let paused = match gap {
                Some(0) => " writing never paused,".to_owned(),
                Some(ms) => format!(
                    " writing paused for at most {:.1} seconds on any partition,",
                    ms as f64 / 1000.0
                ),
                None => String::new(),
            };
            format!("{did}:{kept}{paused} and {whole}.")
        }
        Status::Failed => format!(
            "{did}, and {}.",
            worst.iter().map(|v| plain(v)).collect::<Vec<_>>().join("; ")
        ),
        Status::Hung => format!("{did}, and nothing could be written or read meanwhile."),
        _ => {
            let ids: Vec<&str> = worst.iter().map(|v| v.id.as_str()).collect();
            format!(
                "{did}, but whether it did harm cannot be told: evidence is missing for {}.",
                ids.join(", ")
            )
        }
    }
}

/// What a failed check means to somebody who does not know Kafka.
fn plain(verdict: &Verdict) -> String {
    let number = |name: &str| {
        verdict
            .measured
            .get(name)
            .and_then(serde_json::Value::as_u64)
            .unwrap_or(0)
    };
    match verdict.id.as_str() {
        "lost-write" => format!(
            "{} of {} confirmed messages are gone",
            number("lost"),
            number("acknowledged")
        ),
        "duplicate" => format!("{} messages are stored twice", number("duplicates")),
        "reorder" => format!("{} messages are stored in the wrong order", number("reorders")),
        "leaders-moved" => "the other servers did not take over in time".into(),
        "gap" => "writing or reading stood still for too long".into(),
        "isr-shrunk" => "the other servers did not notice in time".into(),
        "isr-restored" => "not every copy of the data is up to date again".into(),
        "leaders-balanced" => "the work is not spread over the servers as it should be".into(),
        "one-controller" => "the servers do not agree on who is in charge".into(),
        "group-recovered" => "the readers are not all back at work".into(),
        id => format!("{id} does not hold"),
    }
}

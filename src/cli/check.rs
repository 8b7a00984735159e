//! `khd check`.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::PathBuf;

use crate::cli::terminal::Output;
use crate::error::{Exit, Expected};
use crate::history::{self, Judged};
use crate::verdicts::messages::Anomaly;

/// How many anomalies of a kind are shown to people.
const SHOWN: usize = 10;

/// Judge a history of sends, polls and a final read that any tool can write
///
/// One JSON object a line; the format is described in docs/formats.md. The checks are those that judge khd's own runs.
/// What was acknowledged and lies beyond what was read is told as unseen, and is no anomaly.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd check history.jsonl
  khd check history.jsonl --json | jq .anomalies
  mytool | khd check -

Exit codes: 0 valid, 1 anomalies, 2 not readable.")]
pub struct Args {
    /// The history, or - for standard input
    history: PathBuf,
    #[command(flatten)]
    output: Output,
}

pub fn run(args: Args) -> anyhow::Result<Exit> {
    let name = args.history.display();
    let read = if args.history.as_os_str() == "-" {
        history::read(std::io::stdin().lock())
    } else {
        let file = File::open(&args.history)
            .map_err(|error| Expected::usage(format!("cannot open the history {name}: {error}")))?;
        history::read(BufReader::with_capacity(1 << 20, file))
    };
    let messages = read.map_err(|error| {
        Expected::usage(format!("cannot read the history {name}: {error}"))
            .hint("each line is one operation; see `khd check --help` and docs/formats.md")
    })?;
    if messages
        .ledgers
        .producers
        .iter()
        .all(|producer| producer.partitions.is_empty())
    {
        tell!("khd: the history {name} tells of no send, so there was little to judge");
    }
    let judged = history::judge(&messages);
    let text = if args.output.json() {
        serde_json::to_string(&judged)? + "\n"
    } else {
        words(&judged)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(if judged.valid { Exit::Passed } else { Exit::Failed })
}

fn words(judged: &Judged) -> String {
    let mut text = String::new();
    for (check, found) in &judged.anomalies {
        text.push_str(&format!("{check}: {}\n", found.len()));
        found
            .iter()
            .take(SHOWN)
            .for_each(|anomaly| text.push_str(&row(anomaly)));
        if found.len() > SHOWN {
            text.push_str(&format!("  and {} more\n", found.len() - SHOWN));
        }
    }
    for (check, count) in &judged.counts {
        text.push_str(&format!("{check}: {count}\n"));
    }
    text.push_str(if judged.valid { "valid\n" } else { "not valid\n" });
    text
}

fn row(anomaly: &Anomaly) -> String {
    let details: Vec<String> = anomaly
        .details
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    format!("  {}/{}  {}\n", anomaly.topic, anomaly.partition, details.join("  "))
}

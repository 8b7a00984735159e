//! `khd checks`.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::cli::terminal::{Output, table};
use crate::error::Exit;
use crate::verdicts::{Measure, checks};

/// List the checks: what each of them tells and measures, and where its definition comes from
///
/// --expect puts a limit on what a check measures: a time (5s), a count (0), or a share (0.99).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd checks\n  khd checks --json | jq -r '.[].id'")]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

pub fn run(args: Args) -> anyhow::Result<Exit> {
    let text = if args.output.json() {
        let rows: Vec<Value> = checks::ALL
            .into_iter()
            .map(|check| {
                json!({
                    "id": check.id(), "meaning": check.meaning(), "source": check.source(),
                    "measures": check.measure().map(Measure::word),
                })
            })
            .collect();
        serde_json::to_string_pretty(&rows)? + "\n"
    } else {
        let rows = checks::ALL.into_iter().map(|check| {
            let measures = check.measure().map_or("–", Measure::word);
            [check.id(), measures, check.meaning(), check.source()]
                .map(str::to_owned)
                .to_vec()
        });
        table(&["CHECK", "MEASURES", "MEANING", "SOURCE"], rows)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Passed)
}

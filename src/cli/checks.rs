//! `khd checks`.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::cli::terminal::{Output, table};
use crate::error::Exit;
use crate::verdicts::checks;

/// List the checks: what each of them tells, and where its definition comes from
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
            .map(|check| json!({"id": check.id(), "meaning": check.meaning(), "source": check.source()}))
            .collect();
        serde_json::to_string_pretty(&rows)? + "\n"
    } else {
        let rows = checks::ALL.into_iter().map(|check| {
            [check.id(), check.meaning(), check.source()]
                .map(str::to_owned)
                .to_vec()
        });
        table(&["CHECK", "MEANING", "SOURCE"], rows)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Passed)
}

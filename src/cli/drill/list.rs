//! `khd drill list`.

use std::io::Write as _;

use serde_json::json;

use super::find;
use crate::cli::terminal::{Output, table};
use crate::drill::script::shipped;
use crate::error::Exit;

/// List the drills that come with khd
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd drill list --tag smoke\n  khd drill list --json | jq -r '.[].name'")]
pub struct Args {
    /// Only those of this tag
    #[arg(long)]
    tag: Option<String>,
    #[command(flatten)]
    output: Output,
}

pub fn run(args: Args) -> anyhow::Result<Exit> {
    let scripts = match &args.tag {
        Some(tag) => find::tagged(tag)?,
        None => shipped::scripts()?,
    };
    let text = if args.output.json() {
        let all = scripts
            .iter()
            .map(|script| json!({"name": script.name, "tags": script.tags, "purpose": script.purpose}));
        serde_json::to_string_pretty(&all.collect::<Vec<_>>())? + "\n"
    } else {
        let row = |script: &crate::drill::script::Script| {
            vec![script.name.clone(), script.tags.join(", "), script.purpose.clone()]
        };
        table(&["NAME", "TAGS", "PURPOSE"], scripts.iter().map(row))
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Passed)
}

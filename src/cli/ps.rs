//! `khd ps`.

use std::io::Write as _;

use serde_json::json;

use crate::cli::lab::Lab;
use crate::cli::settings;
use crate::cli::terminal::{Output, table};
use crate::error::Exit;

/// List the lab's containers
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd ps\n  khd ps --json | jq '.[].state'")]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let lab = Lab::running(settings).await?;
    let mut containers = lab.project().await?.containers;
    // In the order of the Compose file, which is the order in which people think of them.
    containers.sort_by_key(|c| (lab.file.services.get_index_of(&c.service), c.number));
    let text = if args.output.json() {
        let rows: Vec<_> = containers
            .iter()
            .map(|c| {
                json!({
                    "name": c.name, "service": c.service, "state": c.state, "health": c.health,
                    "status": c.status, "image": c.image, "ports": c.ports,
                })
            })
            .collect();
        serde_json::to_string_pretty(&rows)? + "\n"
    } else {
        let rows = containers
            .into_iter()
            .map(|c| vec![c.name, c.service, c.status, c.ports.join(", ")]);
        table(&["NAME", "SERVICE", "STATUS", "PORTS"], rows)
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Passed)
}

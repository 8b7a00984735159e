//! `khd render`.

use std::io::Write as _;

use crate::cli::settings;
use crate::compose;
use crate::error::Exit;
use crate::topology::Topology;

/// Print the lab as a Compose file
///
/// What `khd up` brings up is what this prints; stock Compose understands it, too.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd render > compose.yaml\n  khd render | docker compose -f - config -q")]
pub struct Args {}

pub fn run(_: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let settings = settings.wanted()?.settings;
    let file = compose::render::render(&settings, &Topology::of(&settings));
    std::io::stdout().write_all(file.to_yaml()?.as_bytes())?;
    Ok(Exit::Passed)
}

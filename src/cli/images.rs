//! `khd images`.

use crate::cli::settings;
use crate::error::Exit;

/// images
#[derive(Debug, clap::Args)]
pub struct Args {}
pub async fn run(_: Args, _: &settings::Args) -> anyhow::Result<Exit> {
    Ok(Exit::Passed)
}

//! `khd images`.

use std::io::Write as _;

use crate::cli::lab::{Lab, unless_interrupted};
use crate::cli::terminal::{Output, Steps, table};
use crate::cli::ui::{self, Missing};
use crate::cli::{interrupt, settings};
use crate::engine::images::{self, Origin, Presence, Row};
use crate::error::Exit;

/// List the lab's images, or make them all
///
/// An image that is there is used, otherwise it is pulled, otherwise built by khd's own recipe.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd images\n  khd images build")]
pub struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Pull or build every image that is missing or out of date
    #[command(after_help = "Example:\n  khd images build")]
    Build,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let lab = Lab::wanted(settings).await?;
    if let Some(Action::Build) = args.action {
        let cancel = interrupt::on_signal("ending", || "an image may be half built".into())?;
        let steps = Steps::show();
        let wanted = images::needed(&lab.file.without_profiles()).into_keys();
        let built = unless_interrupted(&cancel, images::obtain(lab.engine.as_ref(), wanted, steps.sender())).await;
        let missing = ui::obtain(&lab, steps.sender()).await;
        steps.end().await;
        built?;
        missing.iter().for_each(Missing::tell);
    }
    let rows = images::list(lab.engine.as_ref(), &lab.file).await?;
    let text = if args.output.json() {
        serde_json::to_string_pretty(&rows)? + "\n"
    } else {
        table(
            &["IMAGE", "STATE", "SIZE", "FROM", "USED BY"],
            rows.into_iter().map(readable),
        )
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Passed)
}

fn readable(row: Row) -> Vec<String> {
    let state = match row.presence {
        Presence::Present => "present",
        Presence::Outdated => "out of date",
        Presence::Missing => "missing",
    };
    let origin = match row.origin {
        Origin::Local => "local",
        Origin::Pull => "pull",
        Origin::Recipe => "recipe",
    };
    let size = row
        .size
        .map_or_else(|| "–".into(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6));
    let users = if row.services.is_empty() {
        "other images".into()
    } else {
        row.services.join(", ")
    };
    vec![row.reference, state.into(), size, origin.into(), users]
}

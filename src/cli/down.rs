//! `khd down`.

use crate::cli::lab::{Lab, command_line};
use crate::cli::{interrupt, settings};
use crate::error::{Exit, Expected};
use crate::settings::Data;

/// Remove the lab: containers, network, volumes
///
/// Everything that carries the project's label goes, also after a crash, also when the lab is half made.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd down\n  khd down --volumes    also the data that `data: keep` keeps")]
pub struct Args {
    /// Remove volumes even where the settings keep the data
    #[arg(long)]
    volumes: bool,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    // A settings file that cannot be read is no reason to leave a lab behind.
    let lab = match Lab::running(settings).await {
        Err(error) if is_usage(&error) => {
            tell!("khd: warning: {error:#}; removing by the project's name");
            Lab::by_name(settings).await?
        }
        lab => lab?,
    };
    let _lock = lab.dir.lock(&command_line())?;
    // Nothing is better than to go on: what is half removed has to be removed all the same.
    let _cancel = interrupt::on_signal("going on until everything is removed", || {
        "the rest is left: khd down again".into()
    })?;
    let keep = lab.settings.data == Data::Keep && !args.volumes;
    let removed = lab.remove(keep).await?;
    let kept = if keep { "; data is kept" } else { "" };
    match removed {
        0 => println!("there is no lab `{}`: nothing to remove", lab.settings.project),
        n => println!(
            "{} is gone: {n} containers, networks and volumes removed{kept}",
            lab.settings.project
        ),
    }
    Ok(Exit::Passed)
}

fn is_usage(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<Expected>()
        .is_some_and(|expected| expected.exit == Exit::Usage)
}

//! `khd drill`: a file a subcommand.

mod find;
mod host;
mod lint;
mod list;
mod new;
mod queue;
mod results;
mod run;
mod show;

use clap::Subcommand;

use crate::cli::settings;
use crate::error::Exit;

/// Run drills: scripts of faults and waits, with what has to hold
///
/// Drills come with khd, or are files of your own: start one with `khd drill new`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd drill list
  khd drill run isolate-leader
  khd drill run --tag smoke --junit drills.xml
  khd drill run soak --for 10m --seed 7
  khd drill new my-drill && khd drill lint my-drill.yaml")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Run(run::Args),
    Lint(lint::Args),
    New(new::Args),
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    match args.command {
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args, settings),
        Command::Run(args) => run::run(args, settings).await,
        Command::Lint(args) => lint::run(args, settings),
        Command::New(args) => new::run(args),
    }
}

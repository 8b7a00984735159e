//! `khd drill show`.

use std::io::Write as _;
use std::time::Duration;

use super::find;
use crate::cli::lab::parse_duration;
use crate::cli::settings;
use crate::drill::machine::Machine;
use crate::drill::script::Script;
use crate::error::{Exit, Expected};
use crate::timeline::limits::Limits;
use crate::topology::Topology;

/// Show a drill: its file, or the steps that it comes to
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd drill show isolate-leader > my-drill.yaml
  khd drill show soak --plan --for 10m --seed 7")]
pub struct Args {
    /// Its name, or a file
    #[arg(value_name = "NAME|FILE")]
    drill: String,
    /// The steps one by one, with those that every drill begins and ends with
    #[arg(long)]
    plan: bool,
    /// Decides what a soak draws
    #[arg(long, default_value_t = 0, requires = "plan")]
    seed: u64,
    /// How long a soak takes
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration, requires = "plan")]
    length: Option<Duration>,
}

pub fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let (file, mut text) = find::text(&args.drill)?;
    if args.plan {
        let settings = settings.wanted()?.settings;
        let script = Script::read(&file, &text, &settings).map_err(Expected::from)?;
        let plan = script.plan(&Topology::of(&settings), Limits::new(), args.seed, args.length);
        let machine = Machine::new(&plan);
        let tasks = machine.tasks().iter().enumerate();
        text = tasks
            .map(|(number, task)| format!("{number:>3}  {}\n", task.words()))
            .collect();
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Passed)
}

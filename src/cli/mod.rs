//! The command line: one file a command, its arguments beside its handler; this file only dispatches.
//!
//! stdout is the result, stderr the conversation. `cli` is the only module that composes the others.

/// Says something on stderr, above the view where there is one.
macro_rules! tell {
    () => { crate::cli::watch::stderr::say(format_args!("")) };
    ($($text:tt)+) => { crate::cli::watch::stderr::say(format_args!($($text)+)) };
}

mod check;
mod checks;
mod completions;
mod config;
mod consume;
mod copy;
mod down;
mod drill;
mod expect;
mod exporter;
mod fail;
mod faults;
mod images;
mod interrupt;
mod lab;
mod logs;
mod notice;
mod open;
mod produce;
mod ps;
mod ready;
mod render;
mod report;
mod reports;
mod restore;
mod run;
mod runs;
mod scale;
mod serve;
mod settings;
mod status;
mod terminal;
mod ui;
mod up;
mod verify;
mod watch;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::{Exit, Expected};

/// Kafka HA drills: bring up a real Kafka cluster, break it, and prove what survived.
#[derive(Debug, Parser)]
#[command(
    name = "khd",
    version,
    about,
    propagate_version = true,
    after_help = "\
Examples:
  khd up                     bring the lab up; returns when it is proven ready
  khd scale producer=2       run two producers
  khd fail kafka2            stop kafka2 for 20 s, start it again, and judge what happened
  khd fail kafka2 --how kill the same without warning
  khd drill run --tag smoke  run the scripted drills of that tag
  khd verify                 judge the lab as it stands
  khd open grafana           open the lab's dashboards
  khd serve                  show the lab on a page, as it lives
  khd report latest          judge the newest run again, from what it left on disk
  khd down                   remove all of it

Exit codes: 0 all verdicts passed, 1 a verdict failed, 2 wrong usage or settings, 3 the environment cannot do it,
4 no verdict could be reached, 130 interrupted after cleaning up."
)]
struct Cli {
    #[command(flatten)]
    settings: settings::Args,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Up(up::Args),
    Scale(scale::Args),
    Fail(Box<fail::Args>),
    Faults(faults::Args),
    Drill(drill::Args),
    Restore(restore::Args),
    Verify(verify::Args),
    Runs(runs::Args),
    Report(report::Args),
    Check(check::Args),
    Checks(checks::Args),
    Status(status::Args),
    Ps(ps::Args),
    Logs(logs::Args),
    Open(open::Args),
    Serve(serve::Args),
    Down(down::Args),
    Render(render::Args),
    Config(config::Args),
    Images(images::Args),
    Produce(produce::Args),
    Consume(consume::Args),
    Copy(copy::Args),
    Exporter(exporter::Args),
    Completions(completions::Args),
}

/// Parses the command line, runs the command, says what went wrong if something did, and picks the exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // clap's own exit codes are 0 for help and 2 for wrong usage, which are khd's as well.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell!("khd: cannot start: {error}");
            return Exit::Environment.into();
        }
    };
    let result = runtime.block_on(dispatch(cli));
    // A blocking read of a client library must not hold up the end.
    runtime.shutdown_background();
    match result {
        Ok(exit) => exit.into(),
        Err(error) => complain(&error).into(),
    }
}

async fn dispatch(cli: Cli) -> anyhow::Result<Exit> {
    let settings = cli.settings;
    match cli.command {
        Command::Up(args) => up::run(args, &settings).await,
        Command::Scale(args) => scale::run(args, &settings).await,
        Command::Fail(args) => fail::run(*args, &settings).await,
        Command::Faults(args) => faults::run(args, &settings).await,
        Command::Drill(args) => drill::run(args, &settings).await,
        Command::Restore(args) => restore::run(args, &settings).await,
        Command::Verify(args) => verify::run(args, &settings).await,
        Command::Runs(args) => runs::run(args, &settings),
        Command::Report(args) => report::run(args, &settings),
        Command::Check(args) => check::run(args),
        Command::Checks(args) => checks::run(args),
        Command::Status(args) => status::run(args, &settings).await,
        Command::Ps(args) => ps::run(args, &settings).await,
        Command::Open(args) => open::run(args, &settings).await,
        Command::Serve(args) => serve::run(args, &settings).await,
        Command::Logs(args) => logs::run(args, &settings).await,
        Command::Down(args) => down::run(args, &settings).await,
        Command::Render(args) => render::run(args, &settings),
        Command::Config(args) => config::run(args, &settings),
        Command::Images(args) => images::run(args, &settings).await,
        Command::Produce(args) => produce::run(args).await,
        Command::Consume(args) => consume::run(args).await,
        Command::Copy(args) => copy::run(args).await,
        Command::Exporter(args) => exporter::run(args).await,
        Command::Completions(args) => completions::run(args),
    }
}

/// Tells of an error and its causes, and what can be done, and returns the exit code.
fn complain(error: &anyhow::Error) -> Exit {
    if is_broken_pipe(error) {
        return Exit::Passed;
    }
    tell!("khd: {error:#}");
    let Some(expected) = error.chain().find_map(|cause| cause.downcast_ref::<Expected>()) else {
        // Nothing that khd foresaw: something in its surroundings failed.
        return Exit::Environment;
    };
    if let Some(hint) = &expected.hint {
        tell!("     {hint}");
    }
    expected.exit
}

/// `khd logs | head` ends because its reader did, which is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().filter_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.into_iter().any(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}

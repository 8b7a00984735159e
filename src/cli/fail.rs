//! `khd fail`.

use std::time::Duration;

use crate::cli::expect::Expect;
use crate::cli::lab::{Lab, command_line, parse_duration};
use crate::cli::reports::Reports;
use crate::cli::run::{Run, conclude, withhold};
use crate::cli::{interrupt, settings};
use crate::drill::machine::Ending;
use crate::drill::plan::{Fail, Plan};
use crate::drill::runner;
use crate::error::{Exit, Expected};
use crate::faults::How;
use crate::faults::journal::Journal;
use crate::faults::selector::Selector;
use crate::state::RunFolder;
use crate::timeline::view::View;
use crate::topology::Topology;

/// Stop a server, watch, start it again, watch, and give verdicts
///
/// The lab has to be healthy first; otherwise nothing is touched. The fault is journaled before it is injected, so
/// whatever happens to khd, `khd restore` or `khd down` puts things right.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd fail kafka2
  khd fail kafka2 --how kill --for 60s
  khd fail zookeeper1 --json | jq .status
  khd fail kafka2 --how kill --expect 'gap<20s' --expect 'availability>=0.999'
  khd fail kafka2 --report junit,markdown --output reports
  khd fail kafka2 --leave      leave it down; khd restore starts it again")]
pub struct Args {
    /// Whom to hit: kafka2, zookeeper1, consumer-1, or a role such as controller or leader:test-1/0
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<Selector>,
    /// What to do to it, such as stop (SIGTERM) or kill (SIGKILL)
    #[arg(long, default_value = "stop", value_parser = how)]
    how: How,
    /// How long it stays down while the workload runs on; at least 3s
    #[arg(long = "for", value_name = "TIME", default_value = "20s", value_parser = hold)]
    hold: Duration,
    /// Do not start it again after that
    #[arg(long)]
    leave: bool,
    #[command(flatten)]
    expect: Expect,
    #[command(flatten)]
    reports: Reports,
}

/// In less than three seconds nobody could tell a workload that goes on from one that hangs.
fn hold(text: &str) -> Result<Duration, String> {
    let hold = parse_duration(text)?;
    let least = Duration::from_secs(3);
    if hold < least {
        Err("3s is the least: the workload has to show that it goes on".into())
    } else {
        Ok(hold)
    }
}

fn how(name: &str) -> Result<How, String> {
    How::all().into_iter().find(|how| how.name() == name).ok_or_else(|| {
        let known: Vec<String> = How::all()
            .iter()
            .map(|how| format!("{}: {}", how.name(), how.fault().meaning()))
            .collect();
        format!("there is no such fault; there are\n  {}", known.join("\n  "))
    })
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let state = settings.state()?;
    let topology = Topology::of(&settings.of_lab(&state)?.settings);
    for target in &args.targets {
        target.check(&topology)?;
    }
    let lab = Lab::running(settings).await?;
    let _lock = lab.dir.lock(&command_line())?;
    let project = lab.project().await?;
    let expected = lab.expectation(&project);
    for target in args.targets.iter().filter(|target| !target.is_role()) {
        target.resolve(&project, &expected, &View::default(), 0)?;
    }
    let journal = Journal::at(lab.dir.journal());
    journal.forget_missing(&project)?;
    if let Some(entry) = journal.entries()?.first() {
        let message = format!("{} is still in place", entry.words());
        return Err(Expected::environment(message).hint("undo it first: khd restore").into());
    }
    let left = journal.clone();
    let cancel = interrupt::on_signal("undoing the fault", move || interrupt::faults_in_place(&left))?;
    let words: Vec<String> = args.targets.iter().map(Selector::to_string).collect();
    let fail = Fail {
        label: args.how.name().into(),
        targets: args.targets,
        how: args.how,
    };
    let plan = Plan::of_one(fail, args.hold, args.leave, args.expect.over(lab.limits()), 0);
    args.reports.prepare()?;
    let run = Run::start(&lab, &plan.drill, &plan.limits, &plan.skip, cancel).await?;
    let ending = runner::run(&run.stage, &plan).await;
    let outcome = match &ending {
        Ending::Judge => "done".to_owned(),
        Ending::Interrupted => "interrupted".into(),
        Ending::Untouched(lacking) => format!("untouched: {}", lacking.join("; ")),
        Ending::Broken { error, .. } | Ending::NoEvidence(error) => error.clone(),
    };
    let folder = run.end(&outcome).await;
    if matches!(ending, Ending::Judge | Ending::NoEvidence(_)) {
        // Without ledgers and log, what the timeline tells is judged all the same.
        return conclude(&folder, &args.reports);
    }
    let left = !journal.entries()?.is_empty();
    let failure = failure(&words.join(", "), &folder, ending, left);
    if let Err(error) = withhold(&folder, &args.reports, &failure.message) {
        tell!("warning: {error:#}");
    }
    Err(failure.into())
}

/// What a drill that could not be judged ended with.
fn failure(target: &str, run: &RunFolder, ending: Ending, left: bool) -> Expected {
    match ending {
        Ending::Untouched(lacking) => Expected::environment(format!(
            "the lab is not healthy, so {target} was left untouched:\n  {}",
            lacking.join("\n  ")
        ))
        .hint("look at it with khd status; khd restore and khd up put things right"),
        Ending::Broken {
            error,
            fault_in_place: true,
        } => Expected::environment(format!(
            "{target} could not be started again and is still down: {error}"
        ))
        .hint("once the engine is well again: khd restore, or khd down"),
        Ending::Broken { error, .. } => {
            Expected::environment(error).hint(format!("no fault is left in place; evidence: {}", run.path().display()))
        }
        _ if left => Expected::interrupted(format!("interrupted; {target} is still down, as was asked"))
            .hint("start it again: khd restore"),
        Ending::Interrupted | Ending::Judge | Ending::NoEvidence(_) => {
            Expected::interrupted("interrupted; no fault is left in place")
        }
    }
}

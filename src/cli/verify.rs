//! `khd verify`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::expect::Expect;
use crate::cli::lab::{Lab, command_line};
use crate::cli::reports::Reports;
use crate::cli::run::{Run, conclude};
use crate::cli::{interrupt, settings};
use crate::drill::audit;
use crate::drill::machine::{Outcome, Task};
use crate::drill::runner::recorded;
use crate::drill::wait::until;
use crate::error::{Exit, Expected};
use crate::timeline::conditions;

/// Judge the lab as it stands: is it whole, and is everything acknowledged in the log?
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd verify
  khd verify --json | jq .status
  khd verify --report junit --output reports
  khd verify --expect 'lost-write>0'    a negative control: fails if nothing was lost")]
pub struct Args {
    #[command(flatten)]
    expect: Expect,
    #[command(flatten)]
    reports: Reports,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let lab = Lab::running(settings).await?;
    let _lock = lab.dir.lock(&command_line())?;
    let limits = args.expect.over(lab.limits());
    let cancel = interrupt::on_signal("ending", || "the lab is left as it is".into())?;
    args.reports.prepare()?;
    let run = Run::start(&lab, "verify", &limits, &BTreeMap::new(), cancel.clone()).await?;
    let stage = &run.stage;
    // What is not healthy by then is for the verdicts to say.
    let healthy = until(stage.timeline.view(), Duration::from_secs(20), &cancel, |view| {
        conditions::whole(view, &stage.expected)
    });
    recorded(&stage.timeline, 0, &Task::Healthy, healthy).await;
    let collected = recorded(&stage.timeline, 1, &Task::Audit, audit::collect(stage)).await;
    let interrupted = collected == Outcome::Interrupted;
    let folder = run.end(if interrupted { "interrupted" } else { "done" }).await;
    if interrupted {
        return Err(Expected::interrupted("interrupted").into());
    }
    // Without ledgers and log, what the timeline tells is judged all the same.
    conclude(&lab, &folder, &args.reports).await
}

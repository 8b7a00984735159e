//! `khd verify`.

use std::time::Duration;

use crate::cli::lab::{Lab, command_line};
use crate::cli::run::{Run, conclude};
use crate::cli::terminal::Output;
use crate::cli::{interrupt, settings};
use crate::drill::audit;
use crate::drill::machine::{Outcome, Phase};
use crate::drill::runner::phased;
use crate::drill::wait::until;
use crate::error::{Exit, Expected};
use crate::timeline::conditions;

/// Judge the lab as it stands: is it whole, and is everything acknowledged in the log?
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd verify\n  khd verify --json | jq .status")]
pub struct Args {
    #[command(flatten)]
    output: Output,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    let lab = Lab::running(settings).await?;
    let _lock = lab.dir.lock(&command_line())?;
    let cancel = interrupt::on_signal("ending", "nothing")?;
    let run = Run::start(&lab, "verify", cancel.clone()).await?;
    let stage = &run.stage;
    // What is not healthy by then is for the verdicts to say.
    let healthy = until(stage.timeline.view(), Duration::from_secs(20), &cancel, |view| {
        let mut lacking = conditions::healthy(view, &stage.expected, None);
        lacking.extend(conditions::leaders_balanced(view, &stage.expected));
        lacking
    });
    phased(&stage.timeline, Phase::Healthy.name(), healthy).await;
    let collected = phased(&stage.timeline, Phase::Audit.name(), async {
        tokio::select! {
            collected = audit::collect(stage) => match collected {
                Ok(()) => Outcome::Done,
                Err(error) => Outcome::Failed(format!("{error:#}")),
            },
            () = cancel.cancelled() => Outcome::Interrupted,
        }
    })
    .await;
    let folder = run
        .end(if collected == Outcome::Done {
            "done"
        } else {
            "not audited"
        })
        .await;
    match collected {
        Outcome::Done => conclude(&folder, &args.output),
        Outcome::Interrupted => Err(Expected::interrupted("interrupted").into()),
        Outcome::Failed(error) => Err(Expected::no_verdict(format!("the lab could not be audited: {error}")).into()),
        Outcome::Expired(lacking) => Err(Expected::no_verdict(lacking.join("; ")).into()),
    }
}

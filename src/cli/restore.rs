//! `khd restore`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::cli::lab::{Lab, command_line};
use crate::cli::terminal::watched;
use crate::cli::{interrupt, settings};
use crate::drill::machine::Outcome;
use crate::drill::wait::until;
use crate::error::{Exit, Expected};
use crate::faults::Injection;
use crate::faults::journal::Journal;
use crate::faults::selector::Selector;
use crate::timeline::conditions;
use crate::timeline::record::Timeline;
use crate::timeline::view::View;
use crate::topology::Topology;

/// Undo the faults that are still in place, and wait until the lab is whole again
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  khd restore\n  khd restore kafka2    also when kafka2 was stopped by hand")]
pub struct Args {
    /// Only this service; started even if it was not khd that stopped it
    target: Option<String>,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    if let Some(target) = &args.target {
        let state = settings.state()?;
        Selector::Named(target.clone()).check(&Topology::of(&settings.of_lab(&state)?.settings))?;
    }
    let lab = Lab::running(settings).await?;
    let _lock = lab.dir.lock(&command_line())?;
    let project = lab.project().await?;
    let journal = Journal::at(lab.dir.journal());
    let left = journal.clone();
    let cancel = interrupt::on_signal("ending", move || interrupt::faults_in_place(&left))?;
    let engine = lab.engine.as_ref();
    // One that still works when its fault is undone would put it there again.
    for helper in &project.helpers {
        engine.remove_container(helper).await?;
        tell!("removed {helper}, which an earlier khd left");
    }
    journal.forget_missing(&project)?;
    let expected = lab.expectation(&project);
    let asked = |injection: &Injection| args.target.as_deref().is_none_or(|name| injection.hits(name));
    let undone = journal.undo(&lab.means(expected.clone()), asked, |_| {}).await?;
    for entry in &undone {
        tell!("undid {}", entry.words());
    }
    if let Some(service) = &args.target
        && undone.is_empty()
    {
        for target in Selector::Named(service.clone()).resolve(&project, &expected, &View::default(), 0)? {
            engine.start(&target.container).await?;
        }
        tell!("khd had put no fault on {service}; it was started in case it was down");
    }
    let timeline = Timeline::unrecorded();
    lab.start(&timeline, &expected, &lab.limits(), &BTreeMap::new());
    let _observers = lab.observe(&timeline);
    let whole = |view: &View| conditions::whole(view, &expected);
    let wait = until(timeline.view(), Duration::from_secs(120), &cancel, whole);
    match watched(timeline.view(), whole, wait).await {
        Outcome::Done => {
            let what = if undone.is_empty() && args.target.is_none() {
                "no fault was in place; "
            } else {
                ""
            };
            println!("{what}the lab is whole");
            Ok(Exit::Passed)
        }
        Outcome::Interrupted => Err(Expected::interrupted("interrupted; the faults are undone").into()),
        Outcome::Failed(error) => anyhow::bail!(error),
        Outcome::Expired(lacking) => {
            let message = format!(
                "the faults are undone, but the lab still lacks:\n  {}",
                lacking.join("\n  ")
            );
            Err(Expected::no_verdict(message)
                .hint("look at it with khd status and khd logs")
                .into())
        }
    }
}

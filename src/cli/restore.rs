//! `khd restore`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::lab::{Lab, command_line, require_no_migration};
use crate::cli::notice::Board;
use crate::cli::terminal::watched;
use crate::cli::{interrupt, settings};
use crate::drill::machine::Outcome;
use crate::drill::undo::undo;
use crate::drill::wait::{proven, until};
use crate::error::{Exit, Expected};
use crate::faults::selector::{self, Selector};
use crate::faults::{Injection, Means};
use crate::timeline::conditions;
use crate::timeline::record::Timeline;
use crate::timeline::view::View;
use crate::topology::Topology;

/// How long the lab may take to be whole again.
const WHOLE_WITHIN: Duration = Duration::from_secs(120);

/// Undo the faults that are still in place, prove that they healed, and wait until the lab is whole again
///
/// For a fault that was left on purpose, or by a khd that was killed. `khd fail --list` shows what is in place.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  khd restore
  khd restore kafka2        only what hits kafka2; starts it also when it was stopped by hand
  khd restore consumer-1    only what hits that consumer")]
pub struct Args {
    /// Only what hits this server or client; it is started even if it was not khd that stopped it
    target: Option<String>,
}

pub async fn run(args: Args, settings: &settings::Args) -> anyhow::Result<Exit> {
    if let Some(target) = &args.target {
        let state = settings.state()?;
        Selector::Named(target.clone()).check(&Topology::of(&settings.of_lab(&state)?.settings))?;
    }
    let mut lab = Lab::running(settings).await?;
    let _lock = lab.dir.lock(&command_line())?;
    let project = lab.there().await?;
    // Of a lab that was left on its way to KRaft nobody knows how far it is, but faults are undone in it as in any other.
    let migration = require_no_migration(&project);
    if migration.is_err() {
        lab = lab.to_migrate();
    }
    let journal = lab.journal();
    let left = journal.clone();
    let cancel = interrupt::on_signal("ending", move || interrupt::faults_in_place(&left))?;
    let engine = lab.engine.as_ref();
    lab.remove_helpers(&project).await?;
    journal.forget_missing(&project)?;
    let expected = lab.expectation_without_faults(&project)?;
    let means = lab.means(expected.clone());
    let asked = |injection: &Injection| args.target.as_deref().is_none_or(|name| injection.hits(name));
    let timeline = Timeline::unrecorded();
    lab.start(&timeline, &expected, &lab.limits(), &BTreeMap::new());
    let _observers = lab.observe(&timeline);
    let undone = undo(&journal, &means, timeline.view(), &cancel, asked, undoing).await;
    if let Some(board) = Board::of(&lab) {
        board.at_rest().await;
    }
    let undone = undone?;
    if let Some(name) = &args.target
        && undone.is_empty()
    {
        let named = [Selector::Named(name.clone())];
        for target in selector::resolve(&named, &project, &expected, &View::default(), 0)? {
            engine.start(&target.container).await?;
        }
        tell!("khd had put no fault on {name}; it was started in case it was down");
    }
    let left: Vec<String> = journal.entries()?.iter().map(Injection::words).collect();
    let whole = |view: &View| conditions::whole(view, &expected);
    let outcome = match healed(&means, &timeline, &undone, &cancel).await {
        Outcome::Done if !left.is_empty() => {
            println!("still in place: {}", left.join(", "));
            return Ok(Exit::Passed);
        }
        Outcome::Done if migration.is_err() => {
            println!("no fault is in place");
            migration?;
            return Ok(Exit::Passed);
        }
        Outcome::Done => {
            let wait = until(timeline.view(), WHOLE_WITHIN, &cancel, whole);
            watched(timeline.view(), whole, wait).await
        }
        outcome => outcome,
    };
    match outcome {
        Outcome::Done => {
            // What a khd that died had just asked for, the engine may have made only now.
            lab.remove_helpers(&lab.there().await?).await?;
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

fn undoing(injection: &Injection) {
    tell!("undoing {}", injection.words());
}

/// Waits until what the faults had broken works again.
async fn healed(means: &Means, timeline: &Timeline, undone: &[Injection], cancel: &CancellationToken) -> Outcome {
    for injection in undone {
        let fault = injection.how.fault();
        let look = async |view: View| fault.healed(means, injection, &view).await;
        match proven(timeline.view(), fault.healed_within(), cancel, look).await {
            Ok(proof) => tell!("undid {}: {proof}", injection.words()),
            Err(outcome) => return outcome,
        }
    }
    Outcome::Done
}

//! `khd fail --dry-run`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::cli::lab::Lab;
use crate::drill::machine::Outcome;
use crate::drill::plan::Fail;
use crate::drill::wait::until;
use crate::error::{Exit, Expected};
use crate::faults::{Target, selector};
use crate::timeline::conditions;
use crate::timeline::record::Timeline;

/// How long it may take to learn who has which role.
const WITHIN: Duration = Duration::from_secs(20);

/// Finds out whom a fault would hit now, says what would be done, and touches nothing.
pub async fn run(lab: &Lab, fail: &Fail, seed: u64) -> anyhow::Result<Exit> {
    let project = lab.project().await?;
    let expected = lab.expectation(&project);
    let timeline = Timeline::unrecorded();
    lab.start(&timeline, &expected, &lab.limits(), &BTreeMap::new());
    let _observers = lab.observe(&timeline);
    let whole = |view: &_| conditions::whole(view, &expected);
    let waited = until(timeline.view(), WITHIN, &CancellationToken::new(), whole).await;
    let view = timeline.view().borrow().clone();
    // Those of the first step of a run.
    let named = selector::resolve(&fail.targets, &project, &expected, &view, seed.wrapping_add(1))?;
    let fault = fail.how.fault();
    let targets = fault.aim(named, &lab.topology, &project);
    fault.check(&lab.topology, &targets)?;
    let names: Vec<String> = targets.iter().map(Target::name).collect();
    println!("{fail}");
    println!("hits       {}", names.join(", "));
    println!("what       {}", fault.meaning());
    let out: Vec<String> = fault.out(&targets, &lab.topology).into_iter().collect();
    if !out.is_empty() {
        println!("out        {} (the lab has to do without)", out.join(", "));
    }
    if fault.stays() {
        println!("undone     after the time of --for, on Ctrl-C, and by khd restore");
    }
    println!("seed       {seed}");
    if let Outcome::Expired(lacking) = waited {
        let message = format!(
            "nothing was touched; the lab would have to be healthy first:\n  {}",
            lacking.join("\n  ")
        );
        return Err(Expected::environment(message).hint("look at it with khd status").into());
    }
    println!("nothing was touched");
    Ok(Exit::Passed)
}

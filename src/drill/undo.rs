//! Undoing faults on a lab that is watched: those in Kafka's own state once brokers answer again.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::drill::wait::until;
use crate::faults::journal::Journal;
use crate::faults::{Injection, Means};
use crate::timeline::conditions;
use crate::timeline::view::View;

/// How long brokers may take to answer, where they are needed to undo a fault.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Undoes journaled faults, those that `which` picks, and returns them; `begins` is told when undoing each begins.
///
/// The wait for brokers, and no more than that, ends early when `cancel` is cancelled.
///
/// # Errors
/// The first failure, after all the others were tried; what is not undone stays journaled.
pub async fn undo(
    journal: &Journal,
    means: &Means,
    view: watch::Receiver<View>,
    cancel: &CancellationToken,
    which: impl Fn(&Injection) -> bool,
    mut begins: impl FnMut(&Injection),
) -> anyhow::Result<Vec<Injection>> {
    let in_containers = journal
        .undo(means, |entry| which(entry) && !entry.in_kafka(), &mut begins)
        .await;
    let in_kafka = |entry: &Injection| which(entry) && entry.in_kafka();
    if !journal.entries()?.iter().any(in_kafka) {
        return in_containers;
    }
    // Whether they answer or not, it is tried.
    until(view, ANSWER_WITHIN, cancel, |view| {
        conditions::brokers_answer(view, &means.expected)
    })
    .await;
    let in_kafka = journal.undo(means, in_kafka, &mut begins).await;
    let mut undone = in_containers?;
    undone.extend(in_kafka?);
    Ok(undone)
}

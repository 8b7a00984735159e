//! The checks, one file each, and the registry of all of them in the order in which verdicts are shown.

mod aborted_read;
mod availability;
mod committed_past_processed;
mod duplicate;
mod exactly_once;
mod fault_effective;
mod fault_healed;
mod gap;
mod group_recovered;
mod inconsistent_offset;
mod isr_restored;
mod isr_shrunk;
mod leader_epoch;
mod leaders_balanced;
mod leaders_moved;
mod lost_write;
mod migration;
mod nonmonotonic_poll;
mod offset_monotonicity;
mod one_controller;
mod phantom;
mod poll_skip;
mod progress;
mod quorum_restored;
mod rebalances;
mod redelivery;
mod reorder;
mod steps;
#[cfg(test)]
pub(crate) mod testing;
mod time_to_recover;
mod unseen;

use std::collections::BTreeMap;

use crate::timeline::conditions::{self, Lacking};
use crate::timeline::event::TopicPartition;
use crate::timeline::limits::Bound;
use crate::timeline::view::View;
use crate::verdicts::evidence::{Evidence, FaultTimes};
use crate::verdicts::{Check, Finding, MessageCheck, Status, moments};
use crate::workload::ledger::history::Ledgers;
use crate::workload::spans::Window;

/// Every check.
pub const ALL: [&dyn Check; 30] = [
    &fault_effective::FaultEffective,
    &fault_healed::FaultHealed,
    &steps::Steps,
    &migration::Migration,
    &leaders_moved::LeadersMoved,
    &isr_shrunk::IsrShrunk,
    &isr_restored::IsrRestored,
    &leaders_balanced::LeadersBalanced,
    &leader_epoch::LeaderEpoch,
    &one_controller::OneController,
    &quorum_restored::QuorumRestored,
    &group_recovered::GroupRecovered,
    &progress::Progress,
    &gap::LongestGap,
    &time_to_recover::TimeToRecover,
    &availability::Availability,
    &lost_write::LostWrite,
    &unseen::Unseen,
    &duplicate::Duplicate,
    &inconsistent_offset::InconsistentOffset,
    &aborted_read::AbortedRead,
    &phantom::Phantom,
    &reorder::Reorder,
    &offset_monotonicity::OffsetMonotonicity,
    &poll_skip::PollSkip,
    &nonmonotonic_poll::NonmonotonicPoll,
    &committed_past_processed::CommittedPastProcessed,
    &exactly_once::ExactlyOnce,
    &rebalances::Rebalances,
    &redelivery::Redelivery,
];

/// The checks of messages whose anomalies make a history invalid.
pub const ANOMALIES: [&dyn MessageCheck; 10] = [
    &lost_write::LostWrite,
    &duplicate::Duplicate,
    &inconsistent_offset::InconsistentOffset,
    &aborted_read::AbortedRead,
    &phantom::Phantom,
    &reorder::Reorder,
    &offset_monotonicity::OffsetMonotonicity,
    &poll_skip::PollSkip,
    &nonmonotonic_poll::NonmonotonicPoll,
    &committed_past_processed::CommittedPastProcessed,
];

/// What is told of a history, and leaves it valid.
pub const UNSEEN: &dyn MessageCheck = &unseen::Unseen;

/// What is counted in a history.
pub const COUNTED: [&dyn MessageCheck; 1] = [&redelivery::Redelivery];

/// Milliseconds as people read them: `850 ms`, `12.4 s`.
fn readable(ms: u64) -> String {
    if ms < 1000 {
        format!("{ms} ms")
    } else {
        format!("{:.1} s", ms as f64 / 1000.0)
    }
}

/// Where to look for what a fault did to the workload: the time from its injection to the cut, and the ledgers. Otherwise
/// why there is nothing to judge.
fn harm<'a>(check: &dyn Check, evidence: &'a Evidence) -> Result<(Window, &'a Ledgers), Finding> {
    let Some(window) = evidence.window_for(check) else {
        return Err(Finding::skipped("no fault was injected"));
    };
    let Some(ledgers) = evidence.ledgers() else {
        return Err(Finding::new(Status::NoData, "the ledgers could not be collected"));
    };
    if evidence.expected.workload.producers == 0 {
        return Err(Finding::skipped("the lab has no producers"));
    }
    Ok((window, ledgers))
}

/// Looks, for each time in which brokers were out for long enough, whether a condition came true in it and held to its end.
///
/// Returns the longest time that it took, where no other broker came back meanwhile; otherwise what speaks against it, as
/// `not` says, or why there is nothing to judge.
fn without_brokers(
    evidence: &Evidence,
    not: &str,
    condition: impl Fn(&View) -> Lacking,
) -> Result<Option<u64>, Finding> {
    let expected = &evidence.expected;
    let Some(first) = evidence.faults.first() else {
        return Err(Finding::skipped("no fault was injected"));
    };
    let (mut judged, mut slowest, mut reason) = (false, None, None);
    for moment in moments::under_faults(evidence) {
        let Some(last) = moment.last_on_broker(expected) else {
            continue;
        };
        let skipped = |why: &str| Finding::skipped(format!("{}: {why}", moment.words()));
        if moment.faults.iter().any(|fault| fault.effective.is_none()) {
            let why = "the fault was not proven, so nothing had to change";
            reason = Some(Finding::new(Status::Unknown, why));
        } else if moment.brokers_left(expected) == 0 {
            reason = Some(skipped("no broker was left"));
        } else if !conditions::has_quorum(&moment.view, expected) {
            reason = Some(skipped("without a quorum nothing can change"));
        } else if !moments::noticed(evidence, &moment) {
            let why = "it was undone before the lab had to notice, and nothing waited for that";
            reason.get_or_insert_with(|| skipped(why));
        } else {
            judged = true;
            let since = evidence
                .held_since(last.injected + 1, Some(moment.at), &condition)
                .map_err(|lacking| {
                    Finding::of(
                        false,
                        format!("{not} during {}: {}", moment.words(), lacking.join("; ")),
                    )
                })?;
            let came_back = |fault: &&FaultTimes| {
                let undone = fault
                    .undone
                    .is_some_and(|undone| (last.injected..moment.at).contains(&undone));
                undone && fault.brokers(expected).next().is_some()
            };
            if !evidence.faults.iter().any(|fault| came_back(&fault)) {
                slowest = slowest.max(Some(evidence.since(last.injected, since)));
            }
        }
    }
    if judged {
        return Ok(slowest);
    }
    Err(reason.unwrap_or_else(|| Finding::skipped(format!("{} put no broker out", first.words()))))
}

/// A partition's name for people: `topic/partition`.
fn name((topic, partition): &TopicPartition) -> String {
    format!("{topic}/{partition}")
}

/// What was measured of partitions, under their names.
fn named<T: Copy>(partitions: &BTreeMap<TopicPartition, T>) -> BTreeMap<String, T> {
    partitions
        .iter()
        .map(|(partition, value)| (name(partition), *value))
        .collect()
}

/// What was measured of partitions, by the broker that led them when the fault was injected; `merge` makes one value of
/// several.
fn by_leader<T: Copy>(
    evidence: &Evidence,
    partitions: &BTreeMap<TopicPartition, T>,
    merge: impl Fn(T, T) -> T,
) -> BTreeMap<String, T> {
    let mut merged: BTreeMap<String, T> = BTreeMap::new();
    for (partition, value) in partitions {
        let leader = evidence.before.told(partition).map_or(-1, |fact| fact.leader);
        let broker = match leader {
            ..0 => "none".to_owned(),
            leader => evidence.expected.node_service(leader),
        };
        let held = merged.entry(broker).or_insert(*value);
        *held = merge(*held, *value);
    }
    merged
}

/// As [`by_count`], for what only the log can tell: where not all of it was read, nobody knows that there is none.
fn by_log(check: &dyn MessageCheck, evidence: &Evidence, clean: &str, dirty: impl FnOnce(u64) -> String) -> Finding {
    let mut finding = by_count(check, evidence, clean, dirty);
    let unread = unread(evidence);
    if unread > 0 && finding.status == Status::Passed && finding.measured.get("count") == Some(&0.into()) {
        finding.status = Status::Unknown;
        finding.summary = format!(
            "{}, as far as it is known: {unread} partitions were not read to their ends",
            finding.summary
        );
    }
    finding
}

/// How many partitions of the workload were not read from their beginnings to their ends.
fn unread(evidence: &Evidence) -> usize {
    let Some(messages) = &evidence.messages else { return 0 };
    let read = |partition: &TopicPartition| messages.log.partition(partition).is_some_and(|log| log.is_whole());
    evidence
        .expected
        .partitions()
        .filter(|partition| !read(partition))
        .count()
}

/// Judges messages by how many anomalies there are: none, unless the run expects others.
fn by_count(check: &dyn MessageCheck, evidence: &Evidence, clean: &str, dirty: impl FnOnce(u64) -> String) -> Finding {
    let Some(messages) = &evidence.messages else {
        return Finding::new(Status::NoData, "the log or the ledgers could not be read");
    };
    let found = check.find(messages);
    let summary = if found.count == 0 {
        clean.to_owned()
    } else {
        dirty(found.count)
    };
    let none = Some(Bound::at_most(0.0));
    let finding = Finding::measured(check, evidence, none, found.count as f64, summary).with("count", found.count);
    if found.anomalies.is_empty() {
        finding
    } else {
        finding.with("examples", serde_json::json!(found.anomalies))
    }
}

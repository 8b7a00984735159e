//! Faults in Kafka's own state: leadership, settings, groups.

pub mod config;
pub mod elect_preferred;
pub mod move_leaders;
pub mod remove_member;

use crate::error::Expected;
use crate::faults::Target;
use crate::kafka::wire::refusal::Refusals;
use crate::topology::Topology;

/// The ids of the brokers that are the targets.
///
/// # Errors
/// A usage error when a target is none.
fn broker_ids(topology: &Topology, targets: &[Target]) -> Result<Vec<i32>, Expected> {
    let id = |target: &Target| {
        let broker = topology.brokers.iter().find(|broker| broker.service == target.service);
        broker.map(|broker| broker.id).ok_or_else(|| {
            let brokers: Vec<&str> = topology.brokers.iter().map(|broker| broker.service.as_str()).collect();
            Expected::usage(format!("{} is no broker", target.name())).hint(format!("brokers: {}", brokers.join(", ")))
        })
    };
    targets.iter().map(id).collect()
}

/// Fails when something was refused.
fn all_accepted(what: &str, refusals: &Refusals) -> anyhow::Result<()> {
    let refused = refusals.iter();
    let refused = refused.map(|((topic, partition), refusal)| format!("{topic}/{partition}: {refusal}"));
    match first_of(refused.collect()) {
        Some(first) => Err(Expected::environment(format!("Kafka refuses {what}: {first}")).into()),
        None => Ok(()),
    }
}

/// The first of what is said of each of many partitions, and of how many more; nothing where nothing is.
fn first_of(lines: Vec<String>) -> Option<String> {
    let more = lines.len().saturating_sub(1);
    let first = lines.into_iter().next()?;
    Some(match more {
        0 => first,
        more => format!("{first}, and {more} more partitions"),
    })
}

//! The checks, one file each, and the registry of all of them in the order in which verdicts are shown.

mod duplicate;
mod fault_effective;
mod gap;
mod group_recovered;
mod isr_restored;
mod isr_shrunk;
mod leaders_balanced;
mod leaders_moved;
mod lost_write;
mod one_controller;
mod progress;
mod reorder;
#[cfg(test)]
pub(crate) mod testing;

use crate::verdicts::Check;
use crate::workload::audit::Compared;

/// Every check.
pub const ALL: [&dyn Check; 12] = [
    &fault_effective::FaultEffective,
    &leaders_moved::LeadersMoved,
    &isr_shrunk::IsrShrunk,
    &isr_restored::IsrRestored,
    &leaders_balanced::LeadersBalanced,
    &one_controller::OneController,
    &group_recovered::GroupRecovered,
    &progress::Progress,
    &gap::LongestGap,
    &lost_write::LostWrite,
    &duplicate::Duplicate,
    &reorder::Reorder,
];

/// Milliseconds as people read them: `850 ms`, `12.4 s`.
fn readable(ms: u64) -> String {
    if ms < 1000 {
        format!("{ms} ms")
    } else {
        format!("{:.1} s", ms as f64 / 1000.0)
    }
}

/// Whether a producer promised neither to repeat nor to reorder.
///
/// One whose ledger is missing promised nothing, and a client that gave a message up no longer keeps the promise: it
/// takes a new producer epoch, under which brokers do not recognise what it sends again.
fn idempotent(part: &Compared) -> bool {
    part.idempotent == Some(true) && part.gave_up == 0
}

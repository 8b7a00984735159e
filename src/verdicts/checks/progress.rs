//! progress: the workload went on while the fault was in place.

use std::collections::BTreeMap;

use serde_json::json;

use crate::timeline::event::TopicPartition;
use crate::timeline::limits::Bound;
use crate::verdicts::checks::{by_leader, name, named};
use crate::verdicts::evidence::{Evidence, FaultTimes};
use crate::verdicts::{Check, Finding, Measure, Status};
use crate::workload::spans::Activity;

/// A shorter time shows nothing.
const LEAST_MS: u64 = 1_000;

/// Producers were acknowledged and members delivered while the fault was in place.
pub struct Progress;

impl Check for Progress {
    fn id(&self) -> &'static str {
        "progress"
    }

    fn meaning(&self) -> &'static str {
        "messages were acknowledged and delivered while the fault was in place"
    }

    fn source(&self) -> &'static str {
        "redpanda-data/chaos: at least N successes inside the fault's window, otherwise it hung"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if evidence.faults.is_empty() && !evidence.asked(self) {
            return Finding::skipped("no fault was injected");
        }
        if evidence.unproven() {
            return Finding::new(Status::Unknown, "the fault was not proven, so it had no window");
        }
        let long = |fault: &&FaultTimes| evidence.effective_for_ms(fault).is_some_and(|time| time >= LEAST_MS);
        let windows = evidence
            .faults
            .iter()
            .filter(long)
            .filter_map(|fault| evidence.effective_window(fault));
        let window = windows.max_by_key(|window| window.from);
        let Some(window) = window.or_else(|| evidence.faults.is_empty().then(|| evidence.window_for(self)).flatten())
        else {
            return Finding::skipped("no fault was in place for long enough");
        };
        let Some(ledgers) = evidence.ledgers() else {
            return Finding::new(Status::NoData, "the ledgers could not be collected");
        };
        let workload = &evidence.expected.workload;
        if workload.producers == 0 {
            return Finding::skipped("the lab has no producers");
        }
        let (acks, deliveries, none) = (ledgers.acks(), ledgers.deliveries(), Activity::default());
        let within = |activities: &BTreeMap<TopicPartition, Activity>, partition: &TopicPartition| {
            activities.get(partition).unwrap_or(&none).count_within(window)
        };
        let of = |partition: TopicPartition| {
            let counts = (within(&acks, &partition), within(&deliveries, &partition));
            (partition, counts)
        };
        let partitions: BTreeMap<TopicPartition, (u64, u64)> = evidence.expected.partitions().map(of).collect();
        let add = |one: (u64, u64), other: (u64, u64)| (one.0 + other.0, one.1 + other.1);
        let (acknowledged, delivered) = partitions.values().fold((0, 0), |all, each| add(all, *each));
        let fewer = if workload.consumers > 0 {
            acknowledged.min(delivered)
        } else {
            acknowledged
        };
        let summary = format!("{acknowledged} messages acknowledged and {delivered} delivered during the fault");
        let some = Some(Bound::at_least(1.0));
        let mut finding = Finding::measured(self, evidence, some, fewer as f64, summary);
        if finding.status == Status::Failed {
            finding.status = Status::Hung;
        }
        let least = partitions.iter().min_by_key(|(_, counts)| **counts);
        // As acknowledged and delivered.
        finding
            .with("acknowledged", acknowledged)
            .with("delivered", delivered)
            .with("partitions", json!(named(&partitions)))
            .with("by_leader", json!(by_leader(evidence, &partitions, add)))
            .with("partition", least.map(|(partition, _)| name(partition)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn a_workload_that_stands_still_is_hung_and_never_passed() {
        let good = Progress.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        assert_eq!(
            Progress
                .judge(&Drill::good().nothing_acknowledged_during_the_fault().evidence())
                .status,
            Status::Hung
        );
        assert_eq!(
            Progress.judge(&Drill::good().without_ledgers().evidence()).status,
            Status::NoData
        );
    }
}

//! availability: the share of sends that succeeded while a fault made itself felt.

use std::collections::BTreeMap;

use serde_json::json;

use crate::timeline::event::TopicPartition;
use crate::timeline::limits::Bound;
use crate::verdicts::checks::{by_leader, harm, name, named};
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure, Status};
use crate::workload::spans::Activity;

/// Without a limit of one's own: one send of a hundred may go without an acknowledgement.
const LEAST: f64 = 0.99;

/// The share of sends that were acknowledged, as the mean over partitions.
pub struct Availability;

impl Check for Availability {
    fn id(&self) -> &'static str {
        "availability"
    }

    fn meaning(&self) -> &'static str {
        "acknowledged sends of all that were settled from the fault to the cut, as the mean over partitions"
    }

    fn source(&self) -> &'static str {
        "redpanda-data/chaos, stat.py: ok / (ok + failed) per partition; one without a sample counts as 0"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Share)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let (window, ledgers) = match harm(self, evidence) {
            Ok(harm) => harm,
            Err(finding) => return finding,
        };
        let (acks, troubled, none) = (ledgers.acks(), ledgers.troubled(), Activity::default());
        // Acknowledged sends and the others, by partition.
        let mut partitions: BTreeMap<TopicPartition, (u64, u64)> = BTreeMap::new();
        for partition in evidence.expected.partitions() {
            let ok = acks.get(&partition).unwrap_or(&none).count_within(window);
            // Whoever waits for an answer in vain does not care whether the message was written.
            let bad = troubled.get(&partition).unwrap_or(&none).count_within(window);
            partitions.insert(partition, (ok, bad));
        }
        let (ok, failed) = partitions.values().fold((0, 0), |all, each| add(all, *each));
        if ok + failed == 0 {
            return Finding::new(Status::NoData, "no send was settled in the fault's window");
        }
        let shares: BTreeMap<TopicPartition, f64> = partitions
            .iter()
            .map(|(partition, counts)| (partition.clone(), share(*counts)))
            .collect();
        let mean = shares.values().sum::<f64>() / shares.len() as f64;
        let worst = shares.iter().min_by(|(_, a), (_, b)| a.total_cmp(b));
        let (partition, least) = worst.map_or_else(Default::default, |(partition, least)| (name(partition), *least));
        // The mean of a broker's partitions, as the whole is the mean of all.
        let summed = shares
            .iter()
            .map(|(partition, share)| (partition.clone(), (*share, 1.0)))
            .collect();
        let by_leader: BTreeMap<String, f64> = by_leader(evidence, &summed, |a, b| (a.0 + b.0, a.1 + b.1))
            .into_iter()
            .map(|(broker, (sum, count)): (String, (f64, f64))| (broker, sum / count))
            .collect();
        let told = |share: f64| Measure::Share.told(share);
        let summary = match failed {
            0 if least == 1.0 => "every send was acknowledged".to_owned(),
            _ => format!(
                "{} of sends were acknowledged, {} on {partition}",
                told(mean),
                told(least)
            ),
        };
        Finding::measured(self, evidence, Some(Bound::at_least(LEAST)), mean, summary)
            .with("failed_or_unknown", failed)
            .with("worst", least)
            .with("partition", partition)
            .with("partitions", json!(named(&shares)))
            .with("by_leader", json!(by_leader))
    }
}

fn add(one: (u64, u64), other: (u64, u64)) -> (u64, u64) {
    (one.0 + other.0, one.1 + other.1)
}

/// The share of acknowledged sends; none, where there were no sends.
fn share((ok, failed): (u64, u64)) -> f64 {
    if ok == 0 { 0.0 } else { ok as f64 / (ok + failed) as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn sends_that_fail_lower_it_and_a_partition_without_any_counts_as_nothing() {
        let good = Availability.judge(&Drill::good().evidence());
        assert_eq!(
            (good.status, &good.measured["value"]),
            (Status::Passed, &1.0.into()),
            "{}",
            good.summary
        );
        let failing = Availability.judge(&Drill::good().sends_fail_at(3_000).evidence());
        assert_eq!(failing.status, Status::Failed, "{}", failing.summary);
        assert!(failing.measured["value"].as_f64().unwrap() > 0.9);
        assert!(failing.measured["by_leader"]["kafka2"].as_f64().unwrap() < 0.99);
        let idle = Availability.judge(&Drill::good().partition_without_sends().evidence());
        assert_eq!(
            (idle.status, &idle.measured["value"]),
            (Status::Failed, &0.5.into()),
            "{}",
            idle.summary
        );
    }
}

//! gap: how long nobody could write, or nobody got anything, on the partition that fared worst.

use std::collections::BTreeMap;

use serde_json::json;

use crate::timeline::event::TopicPartition;
use crate::verdicts::checks::{by_leader, harm, name, named, readable};
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Measure};
use crate::workload::ledger::history::overall;
use crate::workload::spans::{Activity, Window};

/// The longest time without an acknowledgement, and without a delivery.
pub struct LongestGap;

impl Check for LongestGap {
    fn id(&self) -> &'static str {
        "gap"
    }

    fn meaning(&self) -> &'static str {
        "the longest time without an acknowledgement or a delivery, per partition and overall, stays within the limit"
    }

    fn source(&self) -> &'static str {
        "redpanda-data/chaos: the longest time between two successes of the same kind"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Time)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        let (window, ledgers) = match harm(self, evidence) {
            Ok(harm) => harm,
            Err(finding) => return finding,
        };
        let workload = &evidence.expected.workload;
        let mut worst = 0;
        let mut measured = serde_json::Map::new();
        let mut words = Vec::new();
        let kinds = [
            ("acknowledgement", ledgers.acks(), true),
            ("delivery", ledgers.deliveries(), workload.consumers > 0),
        ];
        for (kind, partitions, judged) in kinds {
            if !judged {
                continue;
            }
            let gaps = gaps(evidence, &partitions, window);
            let (partition, length) = gaps
                .iter()
                .max_by_key(|(_, length)| **length)
                .map_or(("none".to_owned(), 0), |(partition, length)| (name(partition), *length));
            let everywhere = length_of(&overall(&partitions), window);
            worst = worst.max(length);
            words.push(format!(
                "{} without {kind} on {partition}, {} overall",
                told(length),
                told(everywhere)
            ));
            measured.insert(
                kind.into(),
                json!({
                    "longest_ms": length, "partition": partition, "overall_ms": everywhere, "partitions_ms": named(&gaps),
                    "by_leader_ms": by_leader(evidence, &gaps, u64::max),
                }),
            );
        }
        let mut finding = Finding::measured(self, evidence, None, worst as f64, words.join("; "));
        finding.measured.extend(measured);
        finding
    }
}

/// The longest gap of every partition, in milliseconds; a partition without any success has one as long as the window.
pub(super) fn gaps(
    evidence: &Evidence,
    activities: &BTreeMap<TopicPartition, Activity>,
    window: Window,
) -> BTreeMap<TopicPartition, u64> {
    let none = Activity::default();
    let partitions = evidence.expected.partitions();
    partitions
        .map(|partition| {
            let activity = activities.get(&partition).unwrap_or(&none);
            let length = length_of(activity, window);
            (partition, length)
        })
        .collect()
}

/// Gaps that are too short to be recorded count as 0.
fn length_of(activity: &Activity, window: Window) -> u64 {
    activity
        .longest_gap(window)
        .map_or(0, |gap| gap.length().unsigned_abs())
}

fn told(length: u64) -> String {
    if length == 0 {
        "never more than 250 ms".into()
    } else {
        readable(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::limits::Bound;
    use crate::verdicts::Status;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn a_gap_beyond_the_limit_fails_and_names_the_partition() {
        let good = LongestGap.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let bad = LongestGap.judge(
            &Drill::good()
                .nothing_acknowledged_during_the_fault()
                .limit("gap", Bound::at_most(5_000.0))
                .evidence(),
        );
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert!(bad.measured["acknowledgement"]["longest_ms"].as_u64().unwrap() > 5_000);
        assert!(
            bad.measured["acknowledgement"]["by_leader_ms"]["kafka2"]
                .as_u64()
                .unwrap()
                > 5_000
        );
    }
}

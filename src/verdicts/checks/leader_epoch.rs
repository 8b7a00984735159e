//! leader-epoch: leader epochs never go back, and an epoch has one leader.

use std::collections::BTreeMap;

use serde_json::json;

use crate::timeline::event::Kind;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::{Check, Finding, Status};

/// No broker told a lower epoch of a partition after a higher one, and no two leaders were told for one epoch.
pub struct LeaderEpoch;

impl Check for LeaderEpoch {
    fn id(&self) -> &'static str {
        "leader-epoch"
    }

    fn meaning(&self) -> &'static str {
        "no broker tells a lower leader epoch of a partition after a higher one, and no epoch has two leaders"
    }

    fn source(&self) -> &'static str {
        "Kafka, KIP-101: each leader's term in a partition has an epoch of its own, greater than those before"
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        // By the broker that told it and the partition: a broker that restarted learns everything anew.
        let mut told: BTreeMap<(&str, &str, i32), i32> = BTreeMap::new();
        let mut leaders: BTreeMap<(&str, i32, i32), i32> = BTreeMap::new();
        let mut wrong = Vec::new();
        let mut highest: BTreeMap<(&str, i32), i32> = BTreeMap::new();
        for event in &evidence.events {
            let source = event.source.as_str();
            match &event.kind {
                Kind::BrokerSilent { .. } => told.retain(|(broker, ..), _| *broker != source),
                Kind::Partition {
                    topic,
                    partition,
                    leader,
                    leader_epoch: epoch,
                    ..
                } if *epoch >= 0 => {
                    let before = told.insert((source, topic, *partition), *epoch);
                    if let Some(before) = before.filter(|before| before > epoch) {
                        wrong.push(json!({
                            "topic": topic, "partition": partition, "told_by": source, "epoch": epoch, "after": before,
                        }));
                    }
                    let greatest = highest.entry((topic, *partition)).or_insert(*epoch);
                    *greatest = (*greatest).max(*epoch);
                    if *leader >= 0 {
                        let known = *leaders.entry((topic, *partition, *epoch)).or_insert(*leader);
                        if known != *leader {
                            wrong.push(json!({
                                "topic": topic, "partition": partition, "epoch": epoch, "leaders": [known, leader],
                            }));
                        }
                    }
                }
                _ => {}
            }
        }
        if highest.is_empty() {
            return Finding::new(Status::NoData, "no broker told a leader epoch");
        }
        let terms = leaders.len() - highest.len();
        let summary = match wrong.len() {
            0 => format!("leader epochs only grew: {terms} changes of leadership seen"),
            count => format!("{count} times a leader epoch went back, or had two leaders"),
        };
        wrong.truncate(10);
        Finding::of(wrong.is_empty(), summary)
            .with("changes", terms)
            .with("examples", wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn an_epoch_that_goes_back_or_has_two_leaders_fails() {
        let good = LeaderEpoch.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        for drill in [
            Drill::good().epoch_goes_back(),
            Drill::good().two_leaders_of_one_epoch(),
        ] {
            let bad = LeaderEpoch.judge(&drill.evidence());
            assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        }
    }
}

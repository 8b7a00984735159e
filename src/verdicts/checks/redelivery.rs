//! redelivery: how many offsets the group was given again, and after which rebalances.

use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Anomaly, Found, Messages};
use crate::verdicts::{Check, Finding, Measure, MessageCheck, Status};
use crate::workload::ledger::history::{ConsumerHistory, Tenure};
use crate::workload::ranges::Ranges;

/// Offsets that a group was given more than once. Nothing is wrong with that: at least once is what is promised.
pub struct Redelivery;

impl Check for Redelivery {
    fn id(&self) -> &'static str {
        "redelivery"
    }

    fn meaning(&self) -> &'static str {
        "how many offsets the group was given again, and after which rebalances; counted, not judged"
    }

    fn source(&self) -> &'static str {
        "Kafka: a group is given every record at least once"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        if evidence.expected.workload.consumers == 0 {
            return Finding::skipped("the lab has no consumers");
        }
        let Some(messages) = &evidence.messages else {
            return Finding::new(Status::NoData, "the log or the ledgers could not be read");
        };
        let found = self.find(messages);
        let summary = match found.count {
            0 => "no offset was delivered again".to_owned(),
            count => format!("{count} offsets were delivered again, after rebalances or restarts of members"),
        };
        Finding::measured(self, evidence, None, found.count as f64, summary)
            .with("count", found.count)
            .with("after", serde_json::json!(found.anomalies))
    }
}

impl MessageCheck for Redelivery {
    /// One for each assignment, still held when the run began or made in it, that led to deliveries which the group had had before.
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        for ((_, partition), members) in messages.deliveries() {
            let mut tenures: Vec<(&ConsumerHistory, &Tenure)> = Vec::new();
            for (member, deliveries) in members {
                tenures.extend(deliveries.tenures.iter().map(|tenure| (member, tenure)));
            }
            tenures.sort_by_key(|(_, tenure)| (tenure.since, tenure.until));
            let mut given = Ranges::default();
            for (member, tenure) in tenures {
                let before = tenure.offsets.within(&given).count();
                let again = before + tenure.count.saturating_sub(tenure.offsets.count());
                given.extend(&tenure.offsets);
                if again > 0 && tenure.until >= messages.since {
                    found.add_many(again, || {
                        Anomaly::at(partition)
                            .with("process", member.header.consumer.clone())
                            .with("generation", tenure.generation)
                            .with("assigned_at", tenure.since)
                            .with("redelivered", again)
                    });
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::limits::Bound;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn records_delivered_again_are_counted_with_their_rebalance_and_judged_only_when_asked() {
        let good = Redelivery.judge(&Drill::good().evidence());
        assert_eq!((good.status, &good.measured["count"]), (Status::Passed, &0.into()));
        let again = Redelivery.judge(&Drill::good().delivered_again(7).evidence());
        assert_eq!((again.status, &again.measured["count"]), (Status::Passed, &7.into()));
        assert_eq!(again.measured["after"][0]["generation"], 2);
        let limited = Drill::good()
            .delivered_again(7)
            .limit("redelivery", Bound::at_most(5.0));
        assert_eq!(Redelivery.judge(&limited.evidence()).status, Status::Failed);
    }
}

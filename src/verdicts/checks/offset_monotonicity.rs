//! offset-monotonicity: an acknowledged offset is greater than every offset acknowledged in that partition before its send began.

use std::collections::BTreeMap;

use crate::timeline::event::TopicPartition;
use crate::verdicts::checks::by_count;
use crate::verdicts::evidence::Evidence;
use crate::verdicts::messages::{Anomaly, Found, Messages};
use crate::verdicts::{Check, Finding, Measure, MessageCheck};
use crate::workload::ledger::history::Tide;

/// Acknowledged offsets only grow.
pub struct OffsetMonotonicity;

impl Check for OffsetMonotonicity {
    fn id(&self) -> &'static str {
        "offset-monotonicity"
    }

    fn meaning(&self) -> &'static str {
        "an acknowledged offset is greater than every offset acknowledged in that partition before its send began"
    }

    fn source(&self) -> &'static str {
        "redpanda-data/chaos, reads_writes/consistency.py: offsets of acknowledged writes are monotonic"
    }

    fn measure(&self) -> Option<Measure> {
        Some(Measure::Count)
    }

    fn judge(&self, evidence: &Evidence) -> Finding {
        by_count(self, evidence, "acknowledged offsets only grew", |count| {
            format!(
                "{count} times an offset was acknowledged that is not beyond those acknowledged before its send began"
            )
        })
    }
}

impl MessageCheck for OffsetMonotonicity {
    fn find(&self, messages: &Messages) -> Found {
        let mut found = Found::none(messages);
        // By partition: who noted it, as which of its notes, and what.
        let mut partitions: BTreeMap<&TopicPartition, Vec<(&str, usize, &Tide)>> = BTreeMap::new();
        for producer in &messages.ledgers.producers {
            for (partition, sends) in &producer.partitions {
                let noted = sends.tides.iter().enumerate();
                let tides = noted.map(|(place, tide)| (producer.header.producer.as_str(), place, tide));
                partitions.entry(partition).or_default().extend(tides);
            }
        }
        for (partition, tides) in partitions {
            let mut acknowledged = tides.clone();
            acknowledged.sort_by_key(|(.., tide)| tide.at);
            let mut acknowledged = acknowledged.into_iter().peekable();
            let mut begun = tides;
            begun.sort_by_key(|(.., tide)| tide.begun);
            let mut greatest: Option<(&str, usize, &Tide)> = None;
            for (producer, place, tide) in begun {
                while let Some(before) = acknowledged.next_if(|(.., before)| before.at < tide.begun) {
                    greatest = greatest
                        .filter(|(.., greatest)| greatest.high >= before.2.high)
                        .or(Some(before));
                }
                let Some((by, noted, before)) = greatest else { continue };
                // What a producer noted later was later, whatever its clock says: it was set back between.
                let set_back = by == producer && noted > place;
                if tide.low <= before.high && !set_back {
                    found.add(|| {
                        Anomaly::at(partition)
                            .with("value", messages.value(partition, producer, tide.lowest))
                            .with("offset", tide.low)
                            .with("after", before.high)
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
    use crate::verdicts::Status;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn an_offset_that_is_acknowledged_again_later_is_found() {
        let good = OffsetMonotonicity.judge(&Drill::good().evidence());
        assert_eq!(good.status, Status::Passed, "{}", good.summary);
        let bad = OffsetMonotonicity.judge(&Drill::good().offsets_go_back().evidence());
        assert_eq!(bad.status, Status::Failed, "{}", bad.summary);
        assert_eq!(bad.measured["examples"][0]["after"], 99);
    }

    #[test]
    fn a_clock_that_is_set_back_puts_nothing_out_of_order() {
        let stepped = OffsetMonotonicity.judge(&Drill::good().clock_is_set_back().evidence());
        assert_eq!(stepped.status, Status::Passed, "{}", stepped.summary);
    }
}

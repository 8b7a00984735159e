//! How long sends took until they were acknowledged, and messages until they were delivered, during a run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::timeline::event::TopicPartition;
use crate::workload::latency::{Latency, Percentiles};
use crate::workload::ledger::history::Ledgers;

/// Percentiles of a run's latencies, in milliseconds, all taken from merged histograms.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Latencies {
    /// From a send to its acknowledgement, by the producer's clock.
    pub acknowledgement: Option<Group>,
    /// From a send to its delivery to a member, by the clocks of both.
    pub end_to_end: Option<Group>,
}

/// Percentiles of everything, and of its parts.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Group {
    /// Of everything.
    pub overall: Percentiles,
    /// By the producer of the messages.
    pub by_producer: BTreeMap<String, Percentiles>,
    /// By partition, as `topic/partition`.
    pub by_partition: BTreeMap<String, Percentiles>,
    /// The partition with the longest 99th percentile.
    pub slowest_partition: String,
}

impl Latencies {
    /// What the ledgers tell of a run.
    pub fn of(ledgers: &Ledgers) -> Self {
        let mut acknowledgement = Merged::default();
        for producer in &ledgers.producers {
            for (partition, sends) in &producer.partitions {
                acknowledgement.add(&producer.header.producer, partition, &sends.latency);
            }
        }
        let mut end_to_end = Merged::default();
        for consumer in &ledgers.consumers {
            for (partition, deliveries) in &consumer.partitions {
                for (producer, latency) in &deliveries.latency {
                    end_to_end.add(producer, partition, latency);
                }
            }
        }
        Self {
            acknowledgement: acknowledgement.group(),
            end_to_end: end_to_end.group(),
        }
    }
}

impl Latencies {
    /// In words, a line for each kind that is known.
    pub fn lines(&self) -> Vec<String> {
        let kinds = [("acknowledged", &self.acknowledgement), ("delivered", &self.end_to_end)];
        let line = |(what, group): (&str, &Option<Group>)| {
            let Group {
                overall,
                slowest_partition,
                by_partition,
                ..
            } = group.as_ref()?;
            let slowest = by_partition.get(slowest_partition).map_or(0.0, |told| told.p99_ms);
            Some(format!(
                "{what} after {} (median), {} (99 %), {} (longest); slowest {slowest_partition}, {} (99 %)",
                readable(overall.p50_ms),
                readable(overall.p99_ms),
                readable(overall.max_ms),
                readable(slowest)
            ))
        };
        kinds.into_iter().filter_map(line).collect()
    }
}

/// Milliseconds as people read them.
fn readable(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.1} ms"),
        ms if ms < 1000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.1} s", ms / 1000.0),
    }
}

#[derive(Default)]
struct Merged {
    all: Latency,
    by_producer: BTreeMap<String, Latency>,
    by_partition: BTreeMap<String, Latency>,
}

impl Merged {
    fn add(&mut self, producer: &str, (topic, partition): &TopicPartition, latency: &Latency) {
        if latency.is_empty() {
            return;
        }
        self.all.merge(latency);
        self.by_producer.entry(producer.to_owned()).or_default().merge(latency);
        let partition = format!("{topic}/{partition}");
        self.by_partition.entry(partition).or_default().merge(latency);
    }

    fn group(self) -> Option<Group> {
        let percentiles = |parts: BTreeMap<String, Latency>| -> BTreeMap<String, Percentiles> {
            let told = parts
                .into_iter()
                .map(|(name, latency)| Some((name, latency.percentiles()?)));
            told.flatten().collect()
        };
        let by_partition = percentiles(self.by_partition);
        let slowest = by_partition
            .iter()
            .max_by(|(_, a), (_, b)| a.p99_ms.total_cmp(&b.p99_ms))?;
        Some(Group {
            overall: self.all.percentiles()?,
            by_producer: percentiles(self.by_producer),
            slowest_partition: slowest.0.clone(),
            by_partition,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdicts::checks::testing::Drill;

    #[test]
    fn percentiles_come_from_what_was_merged() {
        let evidence = Drill::good().evidence();
        let told = Latencies::of(evidence.ledgers().unwrap());
        let lines = told.lines();
        assert_eq!(lines.len(), 1);
        assert!(
            lines[0].starts_with("acknowledged after 1.5 ms (median)"),
            "{}",
            lines[0]
        );
        let group = told.acknowledgement.unwrap();
        assert_eq!(group.overall.count, 200);
        assert_eq!(
            (group.by_producer["p"].count, group.by_partition["t/1"].count),
            (200, 100)
        );
        assert_eq!(told.end_to_end, None);
    }
}

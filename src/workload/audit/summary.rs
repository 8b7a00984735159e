//! What is in the log, summed up: as big as its gaps, not as its records.

use std::collections::{BTreeMap, VecDeque};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::workload::message::Message;
use crate::workload::ranges::Ranges;

/// Version of the summary's format.
pub const SCHEMA: u32 = 1;

/// How many examples of duplicates and of reorders are kept for each producer and partition.
const EXAMPLES: usize = 10;

/// How many runs of one producer are remembered in a partition, to find where a duplicate was first.
const REMEMBERED: usize = 1024;

/// What was in the log up to the cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogSummary {
    /// Version of this format.
    pub schema: u32,
    /// The moment before the end offsets were asked for, in milliseconds since the Unix epoch: what was acknowledged
    /// until then must be in the log.
    pub taken: i64,
    /// The partitions, by topic and number.
    pub partitions: Vec<PartitionLog>,
}

/// One partition's log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionLog {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Its first offset; above 0 when retention has deleted what was before.
    pub begin: i64,
    /// Its end offset at the cut.
    pub end: i64,
    /// Up to where it was read: `end`, unless there was no time.
    pub read_to: i64,
    /// How many records it holds.
    pub records: u64,
    /// How many of them are not khd's.
    pub foreign: u64,
    /// The offsets that hold a record.
    pub offsets: Ranges,
    /// What it holds of each producer, by the producer's id.
    pub producers: BTreeMap<String, InLog>,
}

impl PartitionLog {
    /// Whether it was read to its end.
    pub fn is_whole(&self) -> bool {
        self.read_to >= self.end
    }
}

/// What a partition's log holds of one producer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InLog {
    /// The sequence numbers.
    pub seen: Ranges,
    /// How many records repeat one that was there before.
    pub duplicates: u64,
    /// The first ten of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub duplicate_examples: Vec<Duplicate>,
    /// How many sequence numbers appear for the first time behind a later one.
    pub reorders: u64,
    /// The first ten of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reorder_examples: Vec<Reorder>,
}

/// A message that is in the log twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Duplicate {
    /// Its sequence number.
    pub sequence: u64,
    /// Where it was first; `None` when that was too long ago to be remembered.
    pub first: Option<i64>,
    /// Where it is again.
    pub again: i64,
}

/// A message that is behind one that was sent later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reorder {
    /// Its sequence number.
    pub sequence: u64,
    /// Its offset.
    pub offset: i64,
    /// The greatest sequence number before it.
    pub after: u64,
}

/// A partition's log that is being read.
#[derive(Debug)]
pub(super) struct Summing {
    log: PartitionLog,
    recent: BTreeMap<String, Recent>,
}

/// Where a producer's last runs were: sequence and offset grow together.
#[derive(Debug, Default)]
struct Recent(VecDeque<(u64, u64, i64)>);

impl Recent {
    fn remember(&mut self, sequence: u64, offset: i64) {
        match self.0.back_mut() {
            Some((first, count, at)) if sequence == *first + *count && offset == *at + *count as i64 => *count += 1,
            _ => {
                if self.0.len() == REMEMBERED {
                    self.0.pop_front();
                }
                self.0.push_back((sequence, 1, offset));
            }
        }
    }

    fn offset_of(&self, sequence: u64) -> Option<i64> {
        self.0
            .iter()
            .find(|(first, count, _)| (*first..first + count).contains(&sequence))
            .map(|(first, _, at)| at + (sequence - first) as i64)
    }
}

impl Summing {
    pub(super) fn new(topic: &str, partition: i32, begin: i64, end: i64) -> Self {
        Self {
            log: PartitionLog {
                topic: topic.to_owned(),
                partition,
                begin,
                end,
                read_to: begin,
                records: 0,
                foreign: 0,
                offsets: Ranges::default(),
                producers: BTreeMap::new(),
            },
            recent: BTreeMap::new(),
        }
    }

    /// Adds a record; they come in the order of their offsets.
    pub(super) fn record(&mut self, offset: i64, value: &[u8]) {
        self.log.records += 1;
        self.log.offsets.insert(offset as u64);
        let Some(message) = Message::parse(value) else {
            self.log.foreign += 1;
            return;
        };
        if !self.log.producers.contains_key(message.producer) {
            self.log.producers.insert(message.producer.to_owned(), InLog::default());
            self.recent.insert(message.producer.to_owned(), Recent::default());
        }
        let known = self.log.producers.get_mut(message.producer);
        if let (Some(known), Some(recent)) = (known, self.recent.get_mut(message.producer)) {
            known.add(message.sequence, offset, recent);
        }
    }

    pub(super) fn finish(mut self, read_to: i64) -> PartitionLog {
        self.log.read_to = read_to;
        self.log
    }
}

impl InLog {
    fn add(&mut self, sequence: u64, offset: i64, recent: &mut Recent) {
        let last = self.seen.last();
        if last.is_some_and(|last| sequence <= last) {
            if self.seen.contains(sequence) {
                self.duplicates += 1;
                if self.duplicate_examples.len() < EXAMPLES {
                    self.duplicate_examples.push(Duplicate {
                        sequence,
                        first: recent.offset_of(sequence),
                        again: offset,
                    });
                }
                return;
            }
            self.reorders += 1;
            if self.reorder_examples.len() < EXAMPLES {
                self.reorder_examples.push(Reorder {
                    sequence,
                    offset,
                    after: last.unwrap_or_default(),
                });
            }
        }
        self.seen.insert(sequence);
        recent.remember(sequence, offset);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn summed(sequences: &[u64]) -> PartitionLog {
        let mut log = Summing::new("t", 0, 0, sequences.len() as i64);
        for (offset, sequence) in sequences.iter().enumerate() {
            let mut value = Vec::new();
            let message = Message {
                begun: 1,
                producer: "p-1",
                sequence: *sequence,
            };
            message.write(&mut value, 0);
            log.record(offset as i64, &value);
        }
        log.finish(sequences.len() as i64)
    }

    proptest! {
        #[test]
        fn duplicates_and_reorders_are_those_of_their_definitions(
            sequences in proptest::collection::vec(0..30u64, 1..60),
        ) {
            let log = summed(&sequences);
            let found = &log.producers["p-1"];
            let distinct: BTreeSet<u64> = sequences.iter().copied().collect();
            prop_assert_eq!(found.seen.count(), distinct.len() as u64);
            prop_assert_eq!(found.duplicates, (sequences.len() - distinct.len()) as u64);
            for example in &found.duplicate_examples {
                let first = sequences.iter().position(|sequence| *sequence == example.sequence);
                prop_assert_eq!(example.first, first.map(|first| first as i64));
                prop_assert_eq!(sequences[example.again as usize], example.sequence);
            }
            let first = |sequence: &u64| sequences.iter().position(|other| other == sequence);
            let behind = distinct
                .iter()
                .filter(|sequence| distinct.iter().any(|later| later > *sequence && first(later) < first(sequence)));
            prop_assert_eq!(found.reorders, behind.count() as u64);
        }
    }

    #[test]
    fn a_clean_log_is_one_range_without_findings() {
        let log = summed(&[0, 1, 2, 3]);
        let found = &log.producers["p-1"];
        assert_eq!((found.duplicates, found.reorders, found.seen.count()), (0, 0, 4));
        assert_eq!(serde_json::to_value(&found.seen).unwrap(), serde_json::json!([[0, 3]]));
        assert_eq!((log.records, log.foreign, log.is_whole()), (4, 0, true));
    }

    #[test]
    fn records_of_strangers_are_counted_and_left_alone() {
        let mut log = Summing::new("t", 0, 0, 2);
        log.record(0, b"hello");
        log.record(1, b"");
        let log = log.finish(2);
        assert_eq!((log.records, log.foreign, log.producers.len()), (2, 2, 0));
    }
}

//! What is in the log, run by run: as big as the number of places where producers' batches meet, not as its records.

use std::collections::BTreeMap;
use std::ops::Range;

use memchr::memmem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::timeline::event::TopicPartition;
use crate::workload::message::Message;
use crate::workload::placements::Placements;
use crate::workload::ranges::Ranges;

/// Version of the summary's format; readers refuse what they do not know.
pub const SCHEMA: u32 = 2;

/// What was in the log up to the cut.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LogSummary {
    /// Version of this format.
    pub schema: u32,
    /// The moment before the end offsets were asked for, in milliseconds since the Unix epoch: what was acknowledged
    /// until then must be in the log.
    pub taken: i64,
    /// All that is in the log, by topic and partition: read with `read_uncommitted`.
    pub partitions: Vec<PartitionLog>,
    /// What readers with `read_committed` get of the partitions in which that is something else: where a transaction is
    /// open or was aborted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_committed: Vec<PartitionLog>,
    /// What copiers made of each partition, where there are copiers: read before `taken`, so that every copy is one of a
    /// record that is told here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<CopyLog>,
}

/// The copy of a partition.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CopyLog {
    /// The topic that was copied.
    pub topic: String,
    /// The partition that was copied.
    pub partition: i32,
    /// Its end offset when copiers were given time to copy all that was before.
    pub end: i64,
    /// The offset that the copiers' group had committed after that time, before the copy was read; 0 where it had none.
    pub committed: i64,
    /// What readers with `read_committed` get of the copy.
    pub log: PartitionLog,
}

impl CopyLog {
    /// The topic and the partition that were copied.
    pub fn key(&self) -> TopicPartition {
        (self.topic.clone(), self.partition)
    }
}

impl LogSummary {
    /// When the log was taken, by the beginning of its file, where khd writes it; nothing, where it is not there.
    pub fn taken_by(beginning: &[u8]) -> Option<i64> {
        #[derive(Deserialize)]
        struct Head {
            taken: i64,
        }
        let end = memmem::find(beginning, br#","partitions":"#)?;
        let head = [&beginning[..end], b"}"].concat();
        serde_json::from_slice(&head).ok().map(|Head { taken }| taken)
    }

    /// A partition's log, as readers with `read_uncommitted` get it.
    pub fn partition(&self, partition: &TopicPartition) -> Option<&PartitionLog> {
        find(&self.partitions, partition)
    }

    /// A partition's log, as readers with `read_committed` get it.
    pub fn committed(&self, partition: &TopicPartition) -> Option<&PartitionLog> {
        find(&self.read_committed, partition).or_else(|| self.partition(partition))
    }
}

fn find<'a>(partitions: &'a [PartitionLog], (topic, partition): &TopicPartition) -> Option<&'a PartitionLog> {
    partitions
        .iter()
        .find(|log| log.topic == *topic && log.partition == *partition)
}

/// One partition's log.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionLog {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Its first offset; above 0 when retention has deleted what was before.
    pub begin: i64,
    /// Its end offset at the cut; of a history, which does not tell it, the greatest number.
    pub end: i64,
    /// The offsets that were read, whether they hold a record or not: all from `begin` to `end`, unless there was no time.
    pub covered: Ranges,
    /// How many records it holds.
    pub records: u64,
    /// How many of them are not khd's.
    pub foreign: u64,
    /// The offsets that hold a record.
    pub offsets: Ranges,
    /// Where the messages of each producer are, by the producer's id, in the order of their offsets.
    pub producers: BTreeMap<String, Placements>,
}

impl PartitionLog {
    /// The topic and the partition.
    pub fn key(&self) -> TopicPartition {
        (self.topic.clone(), self.partition)
    }

    /// Whether it was read from its beginning to its end.
    pub fn is_whole(&self) -> bool {
        self.covers(self.begin..self.end)
    }

    /// Whether these offsets were read.
    pub fn covers(&self, offsets: Range<i64>) -> bool {
        let offsets = unsigned(offsets);
        self.covered.within_range(offsets.clone()).count() == offsets.end.saturating_sub(offsets.start)
    }

    /// Which of these offsets hold a record, as far as they were read.
    pub fn records_in(&self, offsets: Range<i64>) -> Ranges {
        self.offsets.within_range(unsigned(offsets))
    }
}

fn unsigned(offsets: Range<i64>) -> Range<u64> {
    offsets.start.max(0) as u64..offsets.end.max(0) as u64
}

/// A partition's log that is being read.
#[derive(Debug)]
pub struct Summing {
    log: PartitionLog,
    // The records from the last hole on.
    run: Range<u64>,
    // In the order in which they appeared. Neighbours in the log are mostly of one producer.
    producers: Vec<(String, Placements)>,
    last: usize,
}

impl Summing {
    /// A partition's log from `begin` to `end`.
    pub fn new(topic: &str, partition: i32, begin: i64, end: i64) -> Self {
        Self {
            log: PartitionLog {
                topic: topic.to_owned(),
                partition,
                begin,
                end,
                ..PartitionLog::default()
            },
            run: 0..0,
            producers: Vec::new(),
            last: 0,
        }
    }

    /// Adds a record; they come in the order of their offsets.
    pub fn record(&mut self, offset: i64, value: &[u8]) {
        self.log.records += 1;
        let number = offset.max(0) as u64;
        if number == self.run.end {
            self.run.end += 1;
        } else {
            let run = std::mem::replace(&mut self.run, number..number + 1);
            self.log.offsets.insert_range(run);
        }
        let Some(message) = Message::parse(value) else {
            self.log.foreign += 1;
            return;
        };
        let is = |(name, _): &(String, Placements)| name == message.producer;
        if !self.producers.get(self.last).is_some_and(is) {
            self.last = self.producers.iter().position(is).unwrap_or(self.producers.len());
            if self.last == self.producers.len() {
                self.producers
                    .push((message.producer.to_owned(), Placements::default()));
            }
        }
        if let Some((_, placements)) = self.producers.get_mut(self.last) {
            placements.push(message.sequence, offset);
        }
    }

    /// The log as it was read from one offset up to before another.
    pub fn finish(mut self, read: Range<i64>) -> PartitionLog {
        self.log.offsets.insert_range(self.run);
        self.log.begin = self.log.begin.max(read.start);
        self.log.covered.insert_range(unsigned(read));
        self.log.producers = self.producers.into_iter().collect();
        self.log
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summed(values: &[(i64, &str)], end: i64) -> PartitionLog {
        let mut log = Summing::new("t", 0, 0, end);
        for (offset, value) in values {
            log.record(*offset, value.as_bytes());
        }
        log.finish(0..end)
    }

    #[test]
    fn when_a_log_was_taken_is_told_by_the_beginning_of_its_file() {
        let log = LogSummary {
            schema: SCHEMA,
            taken: 1_795_000_000_000,
            ..LogSummary::default()
        };
        let text = serde_json::to_vec(&log).unwrap();
        assert_eq!(LogSummary::taken_by(&text), Some(log.taken));
        for other in [
            "",
            "{",
            r#"{"partitions":[],"taken":5}"#,
            r#"{"schema":2,"partitions":[]}"#,
        ] {
            assert_eq!(LogSummary::taken_by(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_clean_log_is_one_run_and_holes_are_told() {
        let log = summed(&[(0, "1:p:0"), (1, "1:p:1"), (3, "1:p:2"), (4, "1:p:3")], 6);
        let placed = serde_json::to_value(&log.producers["p"]).unwrap();
        assert_eq!(placed, serde_json::json!([[0, 2, 0], [2, 2, 3]]));
        assert_eq!(
            serde_json::to_value(&log.offsets).unwrap(),
            serde_json::json!([[0, 1], [3, 4]])
        );
        assert_eq!((log.records, log.foreign, log.is_whole()), (4, 0, true));
        assert_eq!(log.records_in(1..4).count(), 2);
    }

    #[test]
    fn a_log_that_was_not_read_to_its_end_is_not_whole() {
        let mut log = Summing::new("t", 0, 2, 9);
        log.record(2, b"1:p:0");
        let log = log.finish(2..5);
        assert!(!log.is_whole() && log.covers(2..5) && !log.covers(0..3));
    }

    #[test]
    fn records_of_strangers_are_counted_and_producers_that_take_turns_are_told_apart() {
        let log = summed(&[(0, "hello"), (1, "1:a:0"), (2, "1:b:0"), (3, "1:a:1"), (4, "")], 5);
        assert_eq!((log.records, log.foreign, log.producers.len()), (5, 2, 2));
        assert_eq!(log.producers["a"].offset_of(1), Some(3));
        assert_eq!(log.offsets.count(), 5);
    }
}

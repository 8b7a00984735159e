//! The records that one transaction copies.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::{Offset, TopicPartitionList};

use crate::workload::copy::context::Context;

/// How many records a transaction has at most.
const MOST: usize = 500;
/// How long records are waited for at most, from the first on: a transaction has a price, however many they are.
const TIME: Duration = Duration::from_millis(100);
/// Longest wait for the first one, so that a cancellation is seen soon.
const POLL: Duration = Duration::from_millis(50);

/// Records that were read and are not copied yet, in the order in which they were read.
#[derive(Debug, Default)]
pub struct Batch(Vec<OwnedMessage>);

impl Batch {
    /// Adds what is there to be read within a moment. What the group took away meanwhile is left out: it is others' now,
    /// or is given again.
    ///
    /// # Errors
    /// When the consumer cannot go on.
    pub fn fill(&mut self, consumer: &BaseConsumer<Context>) -> anyhow::Result<()> {
        let until = Instant::now() + TIME;
        loop {
            let wait = if self.0.is_empty() {
                POLL
            } else {
                until.saturating_duration_since(Instant::now())
            };
            let polled = consumer.poll(wait);
            // A rebalance comes before the message.
            let revoked = consumer.context().take_revoked();
            let is_revoked = |record: &OwnedMessage| {
                let mut revoked = revoked.iter();
                revoked.any(|(topic, partition)| record.partition() == *partition && record.topic() == topic)
            };
            self.0.retain(|record| !is_revoked(record));
            match polled {
                Some(Ok(record)) => self.0.push(record.detach()),
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => anyhow::bail!("{code}"),
                // The context has been told already.
                Some(Err(_)) | None => return Ok(()),
            }
            if self.0.len() >= MOST {
                return Ok(());
            }
        }
    }

    /// The records.
    pub fn records(&self) -> impl Iterator<Item = &OwnedMessage> {
        self.0.iter()
    }

    /// The offsets after its last record in each partition: what the group commits with it.
    pub fn offsets(&self) -> TopicPartitionList {
        let mut ends: BTreeMap<(&str, i32), i64> = BTreeMap::new();
        for record in &self.0 {
            ends.insert((record.topic(), record.partition()), record.offset() + 1);
        }
        let mut list = TopicPartitionList::with_capacity(ends.len());
        for ((topic, partition), offset) in ends {
            // It only fails for offsets that librdkafka cannot express; these came from it.
            let _ = list.add_partition_offset(topic, partition, Offset::Offset(offset));
        }
        list
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

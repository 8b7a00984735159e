//! Reading a topic's log from beginning to end, with a fresh client that is in no group.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::client::{self, Quiet};
use crate::settings::Properties;
use crate::timeline::event::TopicPartition;

/// How long one question for offsets may take.
const ASK: Duration = Duration::from_secs(3);
/// How long a partition may take to tell its offsets: longer than a dead leader counts as alive.
const ANSWERED_WITHIN: Duration = Duration::from_secs(30);
/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(200);
/// How long to wait until a log's end is where it should be.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one wait for a record may take.
const POLL: Duration = Duration::from_millis(100);

/// The part of a partition's log that is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The first offset.
    pub begin: i64,
    /// The offset after the last one.
    pub end: i64,
}

/// A record of the log.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its value.
    pub value: &'a [u8],
}

/// What a reader gets of transactions, in Kafka's own terms (`isolation.level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Every record, up to the high watermark.
    ReadUncommitted,
    /// Nothing of a transaction that was aborted, and nothing past one that is open.
    ReadCommitted,
}

impl Isolation {
    fn level(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "read_uncommitted",
            Self::ReadCommitted => "read_committed",
        }
    }
}

/// Where to read, and with which client properties.
#[derive(Debug, Clone)]
pub struct Source {
    /// The cluster: `host:port`, comma-separated.
    pub brokers: String,
    /// Client properties put over khd's.
    pub properties: Properties,
}

impl Source {
    /// A cluster that needs no client properties.
    pub fn new(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            properties: Properties::new(),
        }
    }

    fn consumer(&self, isolation: Isolation) -> anyhow::Result<BaseConsumer<Quiet>> {
        let id = format!("khd-audit-{}", std::process::id());
        let mut config = client::config(&self.brokers, &id);
        config
            // librdkafka assigns nothing to a consumer without a group. This one never joins it nor commits.
            .set("group.id", &id)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // Where retention overtakes the reader, it goes on where the log begins then.
            .set("auto.offset.reset", "earliest")
            .set("isolation.level", isolation.level())
            .set("enable.partition.eof", "true")
            // librdkafka pauses a fetch for a second when its queue is full, and reading is then mostly that pause.
            // Looking again at once lets the queue be small, and memory with it (docs/benchmarks.md).
            .set("fetch.queue.backoff.ms", "2")
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.max.bytes", "4194304")
            .set("check.crcs", "true");
        client::overlay(&mut config, &self.properties);
        client::create(&config, Quiet)
    }
}

/// Asks each partition for its first offset and the one after its last (its high watermark), and asks again those that
/// do not answer, for at most 30 s, and those that do not reach past the offset in `past` yet, for at most `patience`:
/// what was acknowledged shows only once it is replicated. Returns what was told last. Blocks.
///
/// A partition that told nothing, such as one without a leader, is left out.
///
/// # Errors
/// When the client is refused.
pub fn extents(
    source: &Source,
    partitions: &BTreeSet<TopicPartition>,
    past: &BTreeMap<TopicPartition, i64>,
    patience: Duration,
) -> anyhow::Result<BTreeMap<TopicPartition, Extent>> {
    let begun = Instant::now();
    let consumer = source.consumer(Isolation::ReadUncommitted)?;
    let mut extents: BTreeMap<TopicPartition, Extent> = BTreeMap::new();
    let mut open = partitions.clone();
    loop {
        for (topic, partition) in &open {
            if let Ok((begin, end)) = consumer.fetch_watermarks(topic, *partition, ASK) {
                extents.insert((topic.clone(), *partition), Extent { begin, end });
            }
        }
        let waited = begun.elapsed();
        open.retain(|partition| match extents.get(partition) {
            Some(extent) => waited < patience && past.get(partition).is_some_and(|offset| extent.end <= *offset),
            None => waited < ANSWERED_WITHIN,
        });
        if open.is_empty() {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    close(consumer);
    Ok(extents)
}

/// Reads the given partitions of one topic and returns from which offset and up to which each was read: its end, unless
/// the deadline came first or the log ended before; its beginning, unless retention came first. Blocks.
///
/// # Errors
/// When the client is refused. Brokers that fail are waited for.
pub fn read(
    source: &Source,
    topic: &str,
    extents: &BTreeMap<i32, Extent>,
    isolation: Isolation,
    deadline: Instant,
    mut on_record: impl FnMut(Record<'_>),
) -> anyhow::Result<BTreeMap<i32, Extent>> {
    let mut read: BTreeMap<i32, i64> = extents
        .iter()
        .map(|(partition, extent)| (*partition, extent.begin))
        .collect();
    let whole = |read: BTreeMap<i32, i64>, begin: &dyn Fn(i32) -> Option<i64>| {
        let of = |(partition, end): (i32, i64)| {
            let asked = extents[&partition].begin;
            let begin = begin(partition).map_or(asked, |now| now.max(asked));
            (partition, Extent { begin, end })
        };
        read.into_iter().map(of).collect()
    };
    let mut open: BTreeSet<i32> = extents
        .iter()
        .filter(|(_, extent)| extent.begin < extent.end)
        .map(|(partition, _)| *partition)
        .collect();
    if open.is_empty() {
        return Ok(whole(read, &|_| None));
    }
    let consumer = source.consumer(isolation)?;
    let mut assignment = TopicPartitionList::new();
    for partition in &open {
        assignment.add_partition_offset(topic, *partition, Offset::Offset(extents[partition].begin))?;
    }
    consumer.assign(&assignment)?;
    let patience = (Instant::now() + PATIENCE).min(deadline);
    // Partitions whose logs are known to reach to their ends.
    let mut ends: BTreeSet<i32> = BTreeSet::new();
    while !open.is_empty() && Instant::now() < deadline {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let (partition, offset) = (message.partition(), message.offset());
                let end = extents.get(&partition).map_or(0, |extent| extent.end);
                if offset < end {
                    on_record(Record {
                        partition,
                        offset,
                        value: message.payload().unwrap_or_default(),
                    });
                    read.insert(partition, offset + 1);
                } else {
                    // It went on meanwhile: what lies between, such as markers of transactions, holds no record.
                    read.insert(partition, end);
                }
                if offset + 1 >= end && open.remove(&partition) {
                    pause(&consumer, topic, partition)?;
                }
            }
            // The log's last offsets may hold no record (markers of transactions, compacted records). But a leader
            // that was just elected may not know its whole log for a moment: then its end is not yet the end.
            // For read_committed it stays before the end while a transaction is open.
            Some(Err(KafkaError::PartitionEOF(partition))) if open.contains(&partition) => {
                let end = extents[&partition].end;
                let told = consumer
                    .fetch_watermarks(topic, partition, ASK)
                    .map(|(_, stable)| stable);
                let over = isolation == Isolation::ReadCommitted && Instant::now() >= patience;
                let there = told.is_ok_and(|stable| stable >= end || over);
                if there && !ends.insert(partition) {
                    // Told again after the log was known to reach so far: what lies between holds no record.
                    read.insert(partition, end);
                    open.remove(&partition);
                    continue;
                }
                if !there {
                    std::thread::sleep(PAUSE);
                }
                // The end of a partition is told once. Going back to it has it told again.
                let at = Offset::Offset(read.get(&partition).copied().unwrap_or_default());
                while let Err(error) = consumer.seek(topic, partition, at, ASK) {
                    tracing::debug!("reading {topic}: {error}");
                    if Instant::now() >= deadline {
                        break;
                    }
                    std::thread::sleep(PAUSE);
                }
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                anyhow::bail!("cannot read {topic}: {code}");
            }
            Some(Err(error)) => tracing::debug!("reading {topic}: {error}"),
            None => {}
        }
    }
    // What retention deleted before the reader came was not read.
    let read = whole(read, &|partition| {
        Some(consumer.fetch_watermarks(topic, partition, ASK).ok()?.0)
    });
    close(consumer);
    Ok(read)
}

fn pause(consumer: &BaseConsumer<Quiet>, topic: &str, partition: i32) -> anyhow::Result<()> {
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    Ok(consumer.pause(&list)?)
}

/// Closes a consumer without waiting for it: with its coordinator gone, that has no deadline.
fn close(consumer: BaseConsumer<Quiet>) {
    std::thread::spawn(move || drop(consumer));
}

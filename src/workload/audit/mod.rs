//! The audit: an independent full read of the log, to be compared with the ledgers.
//!
//! Producers go on meanwhile, so a run takes a cut:
//! 1. take the time, and wait until [`Ledgers::behind`](crate::workload::ledger::history::Ledgers::behind) names no
//!    producer that is alive: every send begun before the cut is then settled;
//! 2. [`read_log`] takes the end offsets and reads up to them;
//! 3. read the ledgers (again) with [`LogSummary::taken`] as the time until which is judged; checks compare them.

mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::kafka::log::{self, Extent, Isolation, Source};
use crate::timeline::event::TopicPartition;
use crate::workload::message::now_ms;

pub use summary::{CopyLog, LogSummary, PartitionLog, SCHEMA, Summing};

/// Reads these partitions from their beginnings to their ends, as readers with `read_uncommitted` and as those with
/// `read_committed` get them, each topic by fresh clients of its own. `past` holds each partition's greatest
/// acknowledged offset: for at most `patience`, the ends are asked for again until they are past it.
///
/// A partition that was not read to its end, each time within `within`, shows so in [`PartitionLog::covered`]; one that
/// does not tell its offsets is left out.
///
/// # Errors
/// When the client is refused.
pub async fn read_log(
    source: Source,
    partitions: BTreeSet<TopicPartition>,
    past: BTreeMap<TopicPartition, i64>,
    patience: Duration,
    within: Duration,
) -> anyhow::Result<LogSummary> {
    tokio::task::spawn_blocking(move || read(&source, &partitions, &past, patience, within)).await?
}

fn read(
    source: &Source,
    partitions: &BTreeSet<TopicPartition>,
    past: &BTreeMap<TopicPartition, i64>,
    patience: Duration,
    within: Duration,
) -> anyhow::Result<LogSummary> {
    let taken = now_ms();
    let extents = log::extents(source, partitions, past, patience)?;
    let mut topics: BTreeMap<&str, BTreeMap<i32, Extent>> = BTreeMap::new();
    for ((topic, partition), extent) in &extents {
        topics.entry(topic).or_default().insert(*partition, *extent);
    }
    let of = |isolation| -> anyhow::Result<Vec<PartitionLog>> {
        let deadline = Instant::now() + within;
        std::thread::scope(|scope| {
            let readers: Vec<_> = topics
                .iter()
                .map(|(topic, extents)| scope.spawn(|| read_topic(source, topic, extents, isolation, deadline)))
                .collect();
            let read = readers
                .into_iter()
                .map(|reader| reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            Ok(read
                .collect::<anyhow::Result<Vec<_>>>()?
                .into_iter()
                .flatten()
                .collect())
        })
    };
    // One after the other: both compare with the same ends, and each has the brokers to itself.
    let partitions = of(Isolation::ReadUncommitted)?;
    let mut read_committed = of(Isolation::ReadCommitted)?;
    read_committed.retain(|log| !partitions.contains(log));
    Ok(LogSummary {
        schema: SCHEMA,
        taken,
        partitions,
        read_committed,
        copies: Vec::new(),
    })
}

/// Reads partitions of one topic to their ends with a fresh client. Blocks.
///
/// # Errors
/// When the client is refused.
pub fn read_topic(
    source: &Source,
    topic: &str,
    extents: &BTreeMap<i32, Extent>,
    isolation: Isolation,
    deadline: Instant,
) -> anyhow::Result<Vec<PartitionLog>> {
    let mut logs: BTreeMap<i32, Summing> = extents
        .iter()
        .map(|(partition, extent)| (*partition, Summing::new(topic, *partition, extent.begin, extent.end)))
        .collect();
    let read = log::read(source, topic, extents, isolation, deadline, |record| {
        if let Some(log) = logs.get_mut(&record.partition) {
            log.record(record.offset, record.value);
        }
    })
    .with_context(|| format!("cannot read the log of {topic}"))?;
    Ok(logs
        .into_iter()
        .filter_map(|(partition, log)| Some(log.finish(read.get(&partition)?.begin..read.get(&partition)?.end)))
        .collect())
}

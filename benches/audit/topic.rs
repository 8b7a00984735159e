//! Reading a real topic once, as the audit does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use khd::kafka::log::{self, Isolation, Source};
use khd::workload::audit::read_topic;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use serde::Serialize;

use crate::memory::peak;

/// How long it may take.
const WITHIN: Duration = Duration::from_secs(600);

/// What reading a topic took.
#[derive(Debug, Serialize)]
pub struct Reading {
    /// How many records it holds.
    records: u64,
    /// How many of them are not khd's.
    foreign: u64,
    /// From the first question to the last record.
    seconds: f64,
    /// Records a second.
    per_second: f64,
    /// The most memory that the process held, in MiB, librdkafka's queues included.
    peak_mib: f64,
}

/// Reads a topic, with these librdkafka properties (`name=value`) put over khd's.
pub fn read(brokers: String, topic: String, properties: &[String]) -> anyhow::Result<Reading> {
    let asking: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &brokers).create()?;
    let metadata = asking.fetch_metadata(Some(&topic), Duration::from_secs(10))?;
    let found = metadata
        .topics()
        .first()
        .context("the cluster does not know the topic")?;
    let partitions: BTreeSet<_> = found.partitions().iter().map(|one| (topic.clone(), one.id())).collect();

    let begun = Instant::now();
    let mut source = Source::new(brokers);
    for property in properties {
        let (name, value) = property.split_once('=').context("a property is name=value")?;
        source.properties.insert(name.to_owned(), value.to_owned());
    }
    let deadline = begun + WITHIN;
    let extents: BTreeMap<i32, _> = log::extents(&source, &partitions, &BTreeMap::new(), Duration::ZERO)?
        .into_iter()
        .map(|((_, partition), extent)| (partition, extent))
        .collect();
    let logs = read_topic(&source, &topic, &extents, Isolation::ReadUncommitted, deadline)?;
    let seconds = begun.elapsed().as_secs_f64();
    anyhow::ensure!(
        logs.iter().all(|log| log.is_whole()),
        "not all of {topic} was read in time"
    );
    let records: u64 = logs.iter().map(|log| log.records).sum();
    Ok(Reading {
        records,
        foreign: logs.iter().map(|log| log.foreign).sum(),
        seconds,
        per_second: records as f64 / seconds,
        peak_mib: peak()?,
    })
}

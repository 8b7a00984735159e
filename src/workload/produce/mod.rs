//! The producer: `khd produce`.
//!
//! A sending loop (`send`) goes round the partitions at its pace (`pace`); librdkafka's reports come back to a book
//! (`book`), which a second thread writes to the ledger four times a second.

mod book;
mod pace;
mod report;
mod send;

use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::Expected;
use crate::kafka::client;
use crate::kafka::topics::{self, Creation, Wanted};
use crate::settings::{Acks, Properties};
use crate::workload::message::{hostname, process_id};

/// How a producer sends.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster: `host:port`, comma-separated.
    pub brokers: String,
    /// The topics to write, in turn.
    pub topics: Vec<String>,
    /// Partitions of each topic that is made; topics that exist must have as many, and may have more.
    pub partitions: i32,
    /// How to make missing topics; `None` waits for them instead.
    pub create: Option<Creation>,
    /// Time between two messages; zero is flat out.
    pub interval: Duration,
    /// Size of a message's value in bytes, at least.
    pub size: usize,
    /// When a write is acknowledged.
    pub acks: Acks,
    /// Whether the broker drops what a retry sent twice; `None`: just when `acks` is `all`.
    pub idempotence: Option<bool>,
    /// After how long a message is given up.
    pub message_timeout: Duration,
    /// Ends after so many messages; `None` goes on until cancelled.
    pub count: Option<u64>,
    /// Logs whenever so many more messages were sent, but not more than once a second.
    pub log_every: u64,
    /// Folder for the ledger; `None` keeps none.
    pub ledger: Option<PathBuf>,
    /// librdkafka properties put over khd's. They are never logged.
    pub properties: Properties,
}

impl Options {
    /// The demo's producer for the cluster at `brokers`: a message every 10 ms, `acks=all`, idempotent.
    pub fn new(brokers: impl Into<String>, topics: Vec<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topics,
            partitions: 6,
            create: Some(Creation::default()),
            interval: Duration::from_millis(10),
            size: 0,
            acks: Acks::All,
            idempotence: None,
            // Longer than a dead broker counts as alive (18 s). A client that gives up earlier takes a new epoch and
            // sends again what was in flight: with 10 s, killing a broker left 930 duplicates in the log, with 30 s none.
            message_timeout: Duration::from_secs(30),
            count: None,
            log_every: 500,
            ledger: None,
            properties: Properties::new(),
        }
    }

    /// Whether the producer is idempotent: as set, otherwise just when `acks` is `all`.
    pub fn idempotent(&self) -> bool {
        self.idempotence.unwrap_or(self.acks == Acks::All)
    }

    /// # Errors
    /// When the options cannot go together.
    fn check(&self) -> anyhow::Result<()> {
        client::check_brokers(&self.brokers)?;
        if self.idempotent() && self.acks != Acks::All {
            return Err(Expected::usage(format!(
                "an idempotent producer needs acks=all, not {}",
                self.acks.as_str()
            ))
            .hint("leave idempotence out, or turn it off: duplicates and reorder are then counted")
            .into());
        }
        if self.topics.is_empty() || self.partitions < 1 {
            return Err(Expected::usage("a producer needs at least one topic with one partition").into());
        }
        Ok(())
    }

    fn config(&self, id: &str) -> rdkafka::ClientConfig {
        let mut config = client::config(&self.brokers, id);
        config
            .set("acks", self.acks.as_str())
            .set("enable.idempotence", self.idempotent().to_string())
            // Every send settles within this: acknowledged, failed or unknown.
            .set("message.timeout.ms", self.message_timeout.as_millis().to_string())
            // Tell the producer's epoch, which may change at any time.
            .set("statistics.interval.ms", "1000")
            // Bounds the memory of a producer that is faster than its cluster.
            .set("queue.buffering.max.messages", "100000")
            .set("queue.buffering.max.kbytes", "131072");
        client::overlay(&mut config, &self.properties);
        config
    }
}

/// What became of all messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// The producer's id, which its messages carry.
    pub producer: String,
    /// Sent.
    pub sent: u64,
    /// Acknowledged.
    pub acknowledged: u64,
    /// Certainly not written.
    pub failed: u64,
    /// May or may not be written: sent, and neither acknowledged nor certainly failed.
    pub unknown: u64,
}

/// Waits for the cluster, makes missing topics, and sends until cancelled or the count is reached. When cancelled it
/// flushes for at most 12 s and closes its ledger.
///
/// # Errors
/// When options or properties are refused, a topic has too few partitions, or the ledger cannot be written: without
/// its reservation no message is sent.
pub async fn run(options: Options, cancel: CancellationToken) -> anyhow::Result<Totals> {
    options.check()?;
    let host = hostname();
    let id = process_id(&host);
    let wanted = Wanted {
        names: options.topics.clone(),
        partitions: options.partitions,
        create: options.create,
        everywhere: false,
    };
    let mut plain = client::config(&options.brokers, &id);
    client::overlay(&mut plain, &options.properties);
    let Some(found) = topics::ready(&plain, &wanted, &cancel).await? else {
        return Ok(Totals {
            producer: id,
            ..Totals::default()
        });
    };
    // Round the topics first, so that neighbours in time go to different topics.
    let widest = found.values().copied().max().unwrap_or(0);
    let slots = (0..widest)
        .flat_map(|partition| options.topics.iter().map(move |topic| (topic, partition)))
        .filter(|(topic, partition)| found.get(*topic).is_some_and(|count| partition < count))
        .map(|(topic, partition)| (topic.clone(), partition))
        .collect();
    tokio::task::spawn_blocking(move || send::run(&options, &id, &host, slots, &cancel)).await?
}

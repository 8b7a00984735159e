//! The consumer: `khd consume`.
//!
//! One thread polls (`poll`); librdkafka's rebalances and commits come in between (`context`), all into one tally
//! (`tally`) that is written to the ledger four times a second and before every change of the assignment.

mod context;
mod poll;
mod tally;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::error::Expected;
use crate::kafka::client;
use crate::kafka::topics::{self, Wanted};
use crate::settings::{Assignment, Commit, GroupProtocol, Properties};
use crate::workload::message::{hostname, process_id};

/// How a consumer consumes.
#[derive(Debug, Clone)]
pub struct Options {
    /// The cluster: `host:port`, comma-separated.
    pub brokers: String,
    /// The topics to read; all are waited for.
    pub topics: Vec<String>,
    /// The group.
    pub group: String,
    /// By which protocol the group settles who reads what.
    pub group_protocol: GroupProtocol,
    /// How partitions are dealt out among the group's members, in the classic protocol.
    pub assignment: Assignment,
    /// Whether the member keeps its place over a restart; its name in the group is then the host's.
    pub static_membership: bool,
    /// After how long without a heartbeat the group gives the member up, in the classic protocol; in the new one the
    /// brokers say (`group.consumer.session.timeout.ms`).
    pub session_timeout: Duration,
    /// When offsets are committed.
    pub commit: Commit,
    /// How long each message takes to be processed.
    pub processing_time: Duration,
    /// Ends after so many deliveries; `None` goes on until cancelled.
    pub count: Option<u64>,
    /// Logs whenever so many more messages were delivered, but not more than once a second.
    pub log_every: u64,
    /// Folder for the ledger; `None` keeps none.
    pub ledger: Option<PathBuf>,
    /// librdkafka properties put over khd's. They are never logged.
    pub properties: Properties,
    /// While it is set, nothing is polled, as if processing hung; heartbeats to the group and signs of life in the ledger
    /// go on.
    pub stalled: Arc<AtomicBool>,
}

impl Options {
    /// The demo's consumer for the cluster at `brokers`: group `test`, cooperative.
    pub fn new(brokers: impl Into<String>, topics: Vec<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topics,
            group: "test".into(),
            group_protocol: GroupProtocol::Classic,
            assignment: Assignment::Cooperative,
            static_membership: false,
            // A drill kills consumers: librdkafka's 45 s would make each wait for the group, not for Kafka. 10 s was
            // Kafka's own default until 3.0, and is well above the brokers' least (6 s).
            session_timeout: Duration::from_secs(10),
            commit: Commit::AfterProcessing,
            processing_time: Duration::ZERO,
            count: None,
            log_every: 500,
            ledger: None,
            properties: Properties::new(),
            stalled: Arc::default(),
        }
    }

    fn assignor(&self) -> &'static str {
        self.group_protocol.assignor(self.assignment)
    }

    fn config(&self, id: &str, instance: Option<&str>) -> rdkafka::ClientConfig {
        let mut config = client::config(&self.brokers, id);
        config
            .set("group.id", &self.group)
            .set("group.protocol", self.group_protocol.as_str())
            .set("auto.offset.reset", "earliest")
            // Only what was processed is committed, and that by khd.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("statistics.interval.ms", "1000")
            // Where it has fetched as much as it may hold, librdkafka looks only after this long whether there is room again:
            // by default a second, in which what it held is long processed.
            .set("fetch.queue.backoff.ms", "10")
            // Topics that come later are found soon.
            .set("topic.metadata.refresh.interval.ms", "10000");
        match self.group_protocol {
            GroupProtocol::Classic => {
                let session = self.session_timeout.as_millis();
                config
                    .set("partition.assignment.strategy", self.assignor())
                    .set("session.timeout.ms", session.to_string())
                    .set("heartbeat.interval.ms", (session / 4).to_string());
            }
            GroupProtocol::Consumer => {
                config.set("group.remote.assignor", self.assignor());
            }
        }
        if let Some(instance) = instance {
            config.set("group.instance.id", instance);
        }
        client::overlay(&mut config, &self.properties);
        config
    }
}

/// What a consumer did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// The consumer's id, which is also its `client.id`.
    pub consumer: String,
    /// Messages delivered, those delivered again included.
    pub delivered: u64,
    /// Rebalances that gave or took partitions.
    pub rebalances: u64,
}

/// Waits for the topics, joins the group and consumes until cancelled or the count is reached. When cancelled it commits,
/// leaves the group and closes its ledger, within 10 s.
///
/// # Errors
/// When properties are refused, the ledger cannot be created, or the client cannot go on (such as a static member
/// whose name another one took).
pub async fn run(options: Options, cancel: CancellationToken) -> anyhow::Result<Totals> {
    client::check_brokers(&options.brokers)?;
    if options.topics.is_empty() {
        return Err(Expected::usage("a consumer needs at least one topic").into());
    }
    let host = hostname();
    let id = process_id(&host);
    let wanted = Wanted {
        names: options.topics.clone(),
        partitions: 1,
        create: None,
        everywhere: true,
    };
    let mut plain = client::config(&options.brokers, &id);
    // librdkafka refuses a `max.poll.interval.ms` below it, whoever polls.
    plain.set("session.timeout.ms", options.session_timeout.as_millis().to_string());
    client::overlay(&mut plain, &options.properties);
    if topics::ready(&plain, &wanted, &cancel).await?.is_none() {
        return Ok(Totals {
            consumer: id,
            ..Totals::default()
        });
    }
    tokio::task::spawn_blocking(move || poll::run(&options, &id, &host, &cancel)).await?
}

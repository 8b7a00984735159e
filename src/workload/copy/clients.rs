//! A copier's two clients: a consumer that reads what is committed, and a transactional producer.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::ThreadedProducer;
use tokio_util::sync::CancellationToken;

use crate::kafka::client;
use crate::settings::{Assignment, GroupProtocol};
use crate::workload::copy::context::Context;
use crate::workload::copy::{Options, transaction};

/// After how long without a heartbeat the group gives the copier up, as khd's consumers. Who takes its partitions over has to
/// wait for that, and for the end of the transaction that it left open.
const SESSION_TIMEOUT_MS: &str = "10000";
/// How long the end may take, as that of a consumer.
const LEAVE: Duration = Duration::from_secs(8);

/// A consumer and a producer that go together.
pub struct Clients {
    consumer: BaseConsumer<Context>,
    producer: Arc<ThreadedProducer<Context>>,
    transaction_timeout: Duration,
}

impl Clients {
    /// Fences whoever had the transactional id before, then joins the group: in this order, what the one before had left
    /// open is settled when the group's offsets are asked for.
    ///
    /// # Errors
    /// [`Expected`](crate::error::Expected) when properties are refused; when the producer cannot begin; or when cancelled.
    pub fn begin(options: &Options, id: &str, cancel: &CancellationToken) -> anyhow::Result<Self> {
        let producer: ThreadedProducer<Context> = client::create(&of_producer(options, id), Context::default())?;
        transaction::init(&producer, cancel)?;
        let consumer: BaseConsumer<Context> = client::create(&of_consumer(options, id), Context::default())?;
        let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        let (group, transactional_id) = (&options.group, &options.transactional_id);
        tracing::info!(copier = id, group, transactional_id, "copying {} topics", topics.len());
        let producer = Arc::new(producer);
        let timeout = options.properties.get("transaction.timeout.ms");
        let timeout = timeout.and_then(|ms| ms.parse().ok());
        Ok(Self {
            consumer,
            producer,
            transaction_timeout: timeout.map_or(transaction::TIMEOUT, Duration::from_millis),
        })
    }

    /// The consumer.
    pub fn consumer(&self) -> &BaseConsumer<Context> {
        &self.consumer
    }

    /// The producer.
    pub fn producer(&self) -> &Arc<ThreadedProducer<Context>> {
        &self.producer
    }

    /// How long the coordinator lets a transaction be open before it aborts it itself.
    pub fn transaction_timeout(&self) -> Duration {
        self.transaction_timeout
    }

    /// Leaves the group, in a thread: with the coordinator gone, that has no deadline of its own. A transaction that is
    /// open is the next one's to abort.
    pub fn end(self) {
        let (done, left) = channel();
        std::thread::spawn(move || {
            drop(self);
            let _ = done.send(());
        });
        if left.recv_timeout(LEAVE).is_err() {
            tracing::warn!("did not leave the group in time: its coordinator does not answer");
        }
    }
}

fn of_consumer(options: &Options, id: &str) -> ClientConfig {
    let mut config = client::config(&options.brokers, id);
    config
        .set("group.id", &options.group)
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "earliest")
        // Offsets are committed by the producer, with the copies.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set(
            "partition.assignment.strategy",
            GroupProtocol::Classic.assignor(Assignment::Cooperative),
        )
        .set("session.timeout.ms", SESSION_TIMEOUT_MS)
        .set("heartbeat.interval.ms", "2500")
        .set("fetch.queue.backoff.ms", "10");
    client::overlay(&mut config, &options.properties);
    config
}

fn of_producer(options: &Options, id: &str) -> ClientConfig {
    let mut config = client::config(&options.brokers, id);
    config
        .set("transactional.id", &options.transactional_id)
        .set("transaction.timeout.ms", transaction::TIMEOUT.as_millis().to_string());
    client::overlay(&mut config, &options.properties);
    config
}

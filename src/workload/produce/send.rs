//! The sending loop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use tokio_util::sync::CancellationToken;

use crate::error::Expected;
use crate::kafka::client;
use crate::timeline::event::{Kind, TopicPartition};
use crate::workload::events;
use crate::workload::ledger::{Line, ProducerHeader, Reserved, SCHEMA, Writer};
use crate::workload::message::{Message, now_ms};
use crate::workload::produce::pace::Pace;
use crate::workload::produce::report::{Context, Shared, tag};
use crate::workload::produce::{Options, Totals};

/// How often the ledger is written, when there is something to write.
const WRITE: Duration = Duration::from_millis(250);
/// How many times [`WRITE`] may pass without a line.
const HEARTBEAT: u32 = 4;
/// How often the ledger is told how long sends took.
const LATENCY: Duration = Duration::from_secs(1);
/// How long messages in flight may take at the end: message.timeout.ms and a little.
const FLUSH: Duration = Duration::from_secs(32);
/// How long a client that can no longer send may take to report what it had in flight.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// How long to wait when librdkafka's queue is full or it refuses a message.
const FULL: Duration = Duration::from_millis(2);
/// How long to wait after a message that librdkafka refused, and between two clients.
const REFUSED: Duration = Duration::from_millis(100);
/// How often the loop looks at what is not due for each message.
const LOOK: Duration = Duration::from_millis(50);
/// How many messages in a row a partition gets flat out. As other clients do: to turn to another partition after each message
/// wakes librdkafka's threads far more often.
const BURST: u64 = 32;
/// Fewest and most sequence numbers that are reserved at once for a partition.
const BLOCK: (u64, u64) = (8, 1 << 16);

/// Sends until cancelled or the count is reached, then flushes and closes the ledger. Blocks.
pub fn run(
    options: &Options,
    id: &str,
    host: &str,
    slots: Vec<TopicPartition>,
    cancel: &CancellationToken,
) -> anyhow::Result<Totals> {
    let header = Line::Producer(ProducerHeader {
        schema: SCHEMA,
        producer: id.to_owned(),
        host: host.to_owned(),
        started: now_ms(),
        acks: options.acks.as_str().to_owned(),
        idempotent: options.idempotent(),
        topics: options.topics.clone(),
    });
    let ledger = Writer::create(options.ledger.as_deref(), &format!("producer-{id}"), &header)?;
    let shared = Arc::new(Shared::new(slots, ledger));
    let mut sender = Sender::new(options, id, shared.clone())?;
    tracing::info!(
        producer = id,
        partitions = shared.names.len(),
        acks = options.acks.as_str(),
        idempotent = options.idempotent(),
        "producing to {} partitions",
        shared.names.len()
    );
    let outcome = std::thread::scope(|scope| {
        let (stop, stopped) = channel::<()>();
        let shared = &shared;
        scope.spawn(move || keep_ledger(shared, &stopped));
        let outcome = sender.send_all(cancel);
        sender.finish();
        drop(stop);
        outcome
    });
    shared.write_settled(true);
    shared.write_latency();
    shared.ledger.append_or_log(&Line::Closed { at: now_ms() });
    let totals = sender.totals();
    tracing::info!(
        producer = id,
        sent = totals.sent,
        acknowledged = totals.acknowledged,
        failed = totals.failed,
        unknown = totals.unknown,
        "ended after {} messages",
        totals.sent
    );
    outcome.map(|()| totals)
}

/// Writes the ledger until nobody holds the other end of the channel any more.
fn keep_ledger(shared: &Shared, stopped: &Receiver<()>) {
    let (mut silent, mut written) = (0, Instant::now());
    while stopped.recv_timeout(WRITE) == Err(RecvTimeoutError::Timeout) {
        silent += 1;
        shared.look_for_stalls();
        if shared.write_settled(silent >= HEARTBEAT) {
            silent = 0;
        }
        if written.elapsed() >= LATENCY {
            written = Instant::now();
            shared.write_latency();
        }
    }
}

struct Sender<'a> {
    options: &'a Options,
    id: &'a str,
    shared: Arc<Shared>,
    config: ClientConfig,
    client: Option<ThreadedProducer<Context>>,
    reserved: Vec<u64>,
    block: u64,
    reserved_at: Instant,
    sent: u64,
    value: Vec<u8>,
}

/// What became of handing one message to librdkafka.
enum Handed {
    Taken,
    Full,
    Refused(KafkaError),
    Fatal,
}

impl<'a> Sender<'a> {
    fn new(options: &'a Options, id: &'a str, shared: Arc<Shared>) -> anyhow::Result<Self> {
        let config = options.config(id);
        Ok(Self {
            client: Some(client::create(&config, Context(shared.clone()))?),
            config,
            reserved: vec![0; shared.names.len()],
            block: BLOCK.0,
            reserved_at: Instant::now(),
            sent: 0,
            value: Vec::with_capacity(options.size.max(128)),
            options,
            id,
            shared,
        })
    }

    fn send_all(&mut self, cancel: &CancellationToken) -> anyhow::Result<()> {
        let slots = self.shared.names.len();
        let in_a_row = match self.options.count {
            _ if !self.options.interval.is_zero() => 1,
            // So that each gets its share.
            Some(count) => BURST.min(count / slots as u64).max(1),
            None => BURST,
        };
        let mut pace = Pace::new(self.options.interval, Instant::now());
        let (mut slot, mut looked) = (0, Instant::now());
        let (mut logged, mut logged_at) = (0, Instant::now());
        let mut row = 0;
        while self.options.count.is_none_or(|count| self.sent < count) && !cancel.is_cancelled() {
            let now = Instant::now();
            if now - looked >= LOOK {
                looked = now;
                self.shared.checkpoint(now_ms());
                if self.sent - logged >= self.options.log_every && now - logged_at >= Duration::from_secs(1) {
                    (logged, logged_at) = (self.sent, now);
                    self.log_progress();
                }
                if self.shared.fatal.load(Ordering::SeqCst) {
                    self.replace_client()?;
                }
            }
            if let Some(nap) = pace.wait(now) {
                std::thread::sleep(nap);
                continue;
            }
            self.send_one(slot, cancel)?;
            row += 1;
            if row >= in_a_row {
                (row, slot) = (0, (slot + 1) % slots);
            }
        }
        Ok(())
    }

    /// Sends the slot's next message, whatever it takes; returns without having sent it only when cancelled.
    fn send_one(&mut self, slot: usize, cancel: &CancellationToken) -> anyhow::Result<()> {
        let sequence = self.shared.sent[slot].load(Ordering::SeqCst);
        if sequence >= self.reserved[slot] {
            self.reserve(slot)?;
        }
        // Before the clock is read: the horizon relies on it.
        self.shared.sent[slot].store(sequence + 1, Ordering::SeqCst);
        loop {
            match self.hand_over(slot, sequence) {
                Handed::Taken => break,
                Handed::Full => std::thread::sleep(FULL),
                Handed::Refused(error) => {
                    self.shared.refuse(slot, sequence, &error);
                    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
                        let size = self.value.len();
                        return Err(Expected::usage(format!(
                            "a message of {size} bytes is larger than message.max.bytes of the client"
                        ))
                        .hint("ask for smaller messages, or set message.max.bytes")
                        .into());
                    }
                    std::thread::sleep(REFUSED);
                    break;
                }
                Handed::Fatal => {
                    // This one is not the old client's any more.
                    self.shared.sent[slot].store(sequence, Ordering::SeqCst);
                    self.replace_client()?;
                    self.shared.sent[slot].store(sequence + 1, Ordering::SeqCst);
                }
            }
            if cancel.is_cancelled() {
                // It was never sent: the number is free again.
                self.shared.sent[slot].store(sequence, Ordering::SeqCst);
                return Ok(());
            }
        }
        self.sent += 1;
        Ok(())
    }

    fn hand_over(&mut self, slot: usize, sequence: u64) -> Handed {
        let Some(client) = &self.client else {
            return Handed::Fatal;
        };
        let message = Message {
            begun: now_ms(),
            producer: self.id,
            sequence,
        };
        message.write(&mut self.value, self.options.size);
        let (topic, partition) = &self.shared.names[slot];
        let record: BaseRecord<'_, (), [u8], usize> = BaseRecord::with_opaque_to(topic, tag(slot, sequence))
            .partition(*partition)
            .payload(self.value.as_slice());
        match client.send(record) {
            Ok(()) => Handed::Taken,
            Err((error, _)) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) => Handed::Full,
                Some(RDKafkaErrorCode::Fatal) => Handed::Fatal,
                _ => Handed::Refused(error),
            },
        }
    }

    /// Reserves sequence numbers for `slot`, and for every other that is about to run out: about two seconds' worth,
    /// so that a killed producer leaves few numbers behind that it never used.
    fn reserve(&mut self, slot: usize) -> anyhow::Result<()> {
        let lasted = self.reserved_at.elapsed();
        self.reserved_at = Instant::now();
        if lasted < Duration::from_secs(1) {
            self.block = (self.block * 2).min(BLOCK.1);
        } else if lasted > Duration::from_secs(4) {
            self.block = (self.block / 2).max(BLOCK.0);
        }
        let mut partitions = Vec::new();
        for (index, sent) in self.shared.progress().into_iter().enumerate() {
            if index != slot && self.reserved[index] >= sent + self.block / 2 {
                continue;
            }
            self.reserved[index] = sent + self.block;
            let (topic, partition) = self.shared.names[index].clone();
            partitions.push(Reserved {
                topic,
                partition,
                until: self.reserved[index],
            });
        }
        let line = Line::Reserve {
            at: now_ms(),
            partitions,
        };
        let reserved = self.shared.ledger.append(&line);
        reserved.context("cannot go on without reserving sequence numbers")
    }

    /// Puts a new client in the place of one that cannot go on, after what was in flight is settled.
    fn replace_client(&mut self) -> anyhow::Result<()> {
        if let Some(client) = self.client.take() {
            let reason = client
                .client()
                .fatal_error()
                .map(|(_, reason)| reason)
                .unwrap_or_default();
            self.shared.ledger.note(format!("the client was replaced: {reason}"));
            let message = format!("the client cannot go on and is replaced: {reason}");
            events::log(&Kind::ClientError { message, suppressed: 0 });
            client.purge(PurgeConfig::default().queue().inflight());
            if client.flush(LAST_WORDS).is_err() {
                tracing::warn!("the client did not report all that it had in flight");
            }
        }
        self.shared.abandon();
        self.shared.fatal.store(false, Ordering::SeqCst);
        // A cause that persists must not make this a busy loop.
        std::thread::sleep(REFUSED);
        self.client = Some(client::create(&self.config, Context(self.shared.clone()))?);
        Ok(())
    }

    fn log_progress(&self) {
        let counts = self.shared.counts();
        tracing::info!(
            producer = self.id,
            sent = self.sent,
            acknowledged = counts.acked,
            failed = counts.failed,
            unknown = counts.unknown,
            "sent {} messages",
            self.sent
        );
    }

    /// Waits for what is in flight, then gives the client up.
    fn finish(&mut self) {
        if let Some(client) = self.client.take()
            && client.flush(FLUSH).is_err()
        {
            tracing::warn!(
                "{} messages are still in flight and become unknown",
                client.in_flight_count()
            );
        }
        self.shared.abandon();
    }

    fn totals(&self) -> Totals {
        let counts = self.shared.counts();
        Totals {
            producer: self.id.to_owned(),
            sent: self.sent,
            acknowledged: counts.acked,
            failed: counts.failed,
            unknown: counts.unknown,
        }
    }
}

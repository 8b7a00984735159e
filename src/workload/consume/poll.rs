//! The polling loop.
//!
//! It stalls between two batches: after `max.poll.interval.ms` librdkafka leaves the group by itself and throws away
//! what it had fetched, so that the first poll after a stall gives the loss of the assignment, and no message of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use tokio_util::sync::CancellationToken;

use crate::kafka::client;
use crate::settings::Commit;
use crate::workload::consume::context::Context;
use crate::workload::consume::{Options, Totals};
use crate::workload::ledger::{ConsumerHeader, Line, SCHEMA, Writer};
use crate::workload::message::now_ms;

/// Longest wait for a message, so that a cancellation is seen soon.
const POLL: Duration = Duration::from_millis(50);
/// How often the ledger is written, when there is something to write.
const WRITE: Duration = Duration::from_millis(250);
/// How often a sign of life is written, when there is not.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How often the ledger is told how long messages took.
const LATENCY: Duration = Duration::from_secs(1);
/// How many messages at most are committed before the first of them is processed, where that is asked for.
const AHEAD: usize = 100;
/// How often offsets are committed.
const COMMIT: Duration = Duration::from_millis(500);
/// How long the end may take: the last commit, and leaving the group.
const LEAVE: Duration = Duration::from_secs(8);

/// Consumes until cancelled or the count is reached, then commits, leaves and closes the ledger. Blocks.
pub fn run(options: &Options, id: &str, host: &str, cancel: &CancellationToken) -> anyhow::Result<Totals> {
    let instance = options.static_membership.then_some(host);
    let header = Line::Consumer(ConsumerHeader {
        schema: SCHEMA,
        consumer: id.to_owned(),
        host: host.to_owned(),
        started: now_ms(),
        group: options.group.clone(),
        instance: instance.map(str::to_owned),
        group_protocol: options.group_protocol,
        assignment: options.assignor().to_owned(),
        topics: options.topics.clone(),
    });
    let ledger = Writer::create(options.ledger.as_deref(), &format!("consumer-{id}"), &header)?;
    let consumer: BaseConsumer<Context> = client::create(
        &options.config(id, instance),
        Context::new(ledger, &options.group, options.commit),
    )?;
    let consumer = Arc::new(consumer);
    let context = consumer.context().clone();
    let topics: Vec<&str> = options.topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics)?;
    tracing::info!(
        consumer = id,
        group = options.group,
        protocol = options.group_protocol.as_str(),
        assignment = options.assignor(),
        instance,
        "consuming {} topics",
        topics.len()
    );
    let commits =
        (options.commit == Commit::AfterProcessing).then(|| Commits::begin(consumer.clone(), context.clone()));
    let outcome = poll(options, id, &consumer, &context, cancel);
    context.write_delivered(true);
    leave(consumer, &context, commits);
    context.write_delivered(false);
    context.write_latency();
    context.close_ledger();
    let (delivered, rebalances) = context.totals();
    tracing::info!(consumer = id, delivered, rebalances, "ended after {delivered} messages");
    outcome.map(|()| Totals {
        consumer: id.to_owned(),
        delivered,
        rebalances,
    })
}

fn poll(
    options: &Options,
    id: &str,
    consumer: &BaseConsumer<Context>,
    context: &Context,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    let start = Instant::now();
    let (mut written, mut alive, mut logged_at) = (start, start, start);
    let (mut delivered, mut logged) = (0, 0);
    let mut latency_written = start;
    let ahead = options.commit == Commit::BeforeProcessing;
    while options.count.is_none_or(|count| delivered < count) && !cancel.is_cancelled() {
        let batch = if options.stalled.load(Ordering::Relaxed) {
            // In the place of the poll that it does not make: the loop still writes signs of life, and sees its end.
            std::thread::sleep(POLL);
            Vec::new()
        } else {
            fetch(consumer, context, if ahead { AHEAD } else { 1 })?
        };
        if ahead && !batch.is_empty() {
            context.commit_ahead(consumer, &batch);
        }
        for message in &batch {
            std::thread::sleep(options.processing_time);
            context.deliver(message);
            delivered += 1;
            if ahead {
                // Whatever was processed when the process is killed is in the ledger.
                context.write_delivered(false);
            }
        }
        let now = Instant::now();
        if now - written >= WRITE {
            written = now;
            context.look_for_stalls();
            if context.write_delivered(now - alive >= HEARTBEAT) {
                alive = now;
            }
        }
        if now - latency_written >= LATENCY {
            latency_written = now;
            context.write_latency();
        }
        if delivered - logged >= options.log_every && now - logged_at >= Duration::from_secs(1) {
            (logged, logged_at) = (delivered, now);
            tracing::info!(consumer = id, delivered, "consumed {delivered} messages");
        }
    }
    Ok(())
}

/// Waits a moment for a message, and takes up to `most` that are there.
///
/// # Errors
/// When the client cannot go on.
fn fetch<'a>(
    consumer: &'a BaseConsumer<Context>,
    context: &Context,
    most: usize,
) -> anyhow::Result<Vec<BorrowedMessage<'a>>> {
    let mut batch: Vec<BorrowedMessage<'a>> = Vec::new();
    while batch.len() < most {
        let wait = if batch.is_empty() { POLL } else { Duration::ZERO };
        let polled = consumer.poll(wait);
        // A rebalance comes before the message: what was fetched of a partition until then is others' now, or is given
        // again.
        let revoked = context.take_revoked();
        if !revoked.is_empty() {
            batch.retain(|message| !revoked.iter().any(|(topic, partition)| is(message, topic, *partition)));
        }
        match polled {
            Some(Ok(message)) => batch.push(message),
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                let reason = consumer
                    .client()
                    .fatal_error()
                    .map(|(_, reason)| reason)
                    .unwrap_or_default();
                anyhow::bail!("the consumer cannot go on: {code}: {reason}");
            }
            // The context has been told already.
            Some(Err(_)) | None => break,
        }
    }
    Ok(batch)
}

fn is(message: &BorrowedMessage<'_>, topic: &str, partition: i32) -> bool {
    message.partition() == partition && message.topic() == topic
}

/// Commits, and leaves the group, in a thread: with the coordinator gone, neither has a deadline of its own that
/// is short enough.
fn leave(consumer: Arc<BaseConsumer<Context>>, context: &Arc<Context>, commits: Option<Commits>) {
    let (done, left) = channel();
    let committing = context.clone();
    std::thread::spawn(move || {
        if let Some(commits) = commits {
            commits.end();
            committing.commit_now(&consumer);
        }
        // Closes the consumer: a last revocation, then it leaves the group.
        drop(consumer);
        let _ = done.send(());
    });
    if left.recv_timeout(LEAVE).is_err() {
        context.trouble("did not leave the group in time: its coordinator does not answer");
    }
}

/// A thread that commits what was processed, now and again.
///
/// A commit waits for the coordinator, which may be dead; polling must not. librdkafka's own way to commit without
/// waiting tells nobody how it went when, as here, events are taken instead of callbacks.
struct Commits {
    thread: JoinHandle<()>,
    ended: Arc<AtomicBool>,
}

impl Commits {
    fn begin(consumer: Arc<BaseConsumer<Context>>, context: Arc<Context>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let end = ended.clone();
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                context.commit_now(&consumer);
                std::thread::park_timeout(COMMIT);
            }
        });
        Self { thread, ended }
    }

    fn end(self) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        // A thread that panicked commits no more; the last commit follows all the same.
        let _ = self.thread.join();
    }
}

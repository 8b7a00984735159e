//! One transaction: the copies of a batch, and the offsets that the group commits with them.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerGroupMetadata};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Message as _, OwnedMessage};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};
use tokio_util::sync::CancellationToken;

use crate::topology::copy_of;
use crate::workload::copy::batch::Batch;
use crate::workload::copy::context::Context;
use crate::workload::message::{Message, now_ms};

/// How long the coordinator lets a transaction be open before it aborts it itself, where the properties do not say.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// How long one try of a request may take, so that a cancellation is seen.
const TRY: Duration = Duration::from_secs(3);
/// Time between two tries of a request that fails at once.
const PAUSE: Duration = Duration::from_millis(100);

/// Fences whoever had the transactional id before, and waits until what that one had left open is settled.
///
/// # Errors
/// When the client cannot go on; or when cancelled.
pub fn init(producer: &ThreadedProducer<Context>, cancel: &CancellationToken) -> anyhow::Result<()> {
    tried(None, cancel, || producer.init_transactions(TRY))
}

/// Copies a batch; false when its transaction was aborted, so that there are no copies of it. What comes before the commit has
/// `timeout`; the commit is tried for as long as it may succeed.
///
/// # Errors
/// When it is not known how it ended, or the clients cannot go on, as when the coordinator has aborted it meanwhile; or when
/// cancelled.
pub fn commit(
    producer: &Arc<ThreadedProducer<Context>>,
    member: &BaseConsumer<Context>,
    batch: &Batch,
    timeout: Duration,
    cancel: &CancellationToken,
) -> anyhow::Result<bool> {
    producer.begin_transaction()?;
    let until = Instant::now() + timeout;
    let Err(error) = try_to_commit(producer, member, batch, until, cancel) else {
        return Ok(true);
    };
    if cancel.is_cancelled() {
        return Err(error);
    }
    producer.context().trouble(&format!(
        "cannot commit a transaction of {} records: {error}",
        batch.len()
    ));
    if Instant::now() >= until {
        return Err(error);
    }
    // Refused, where the coordinator may have committed it already.
    tried(Some(until), cancel, || producer.abort_transaction(TRY))?;
    Ok(false)
}

fn try_to_commit(
    producer: &Arc<ThreadedProducer<Context>>,
    member: &BaseConsumer<Context>,
    batch: &Batch,
    until: Instant,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    let mut value = Vec::new();
    for record in batch.records() {
        send(producer, record, &mut value)?;
    }
    // With it the coordinator refuses a member that the group has given up.
    let member = member.group_metadata();
    let member = member.ok_or_else(|| anyhow::anyhow!("the consumer is in no group"))?;
    send_offsets(producer, batch.offsets(), member, until, cancel)?;
    // New clients cannot tell whether this batch is among those that the group has done.
    tried(None, cancel, || producer.commit_transaction(TRY))
}

/// Sends the offsets in a thread of its own: a producer whose group's coordinator has gone may wait for it for ever, whatever
/// the time-out (confluentinc/librdkafka#5456, #5511). Such a producer is left to that thread, and fenced by the next one.
fn send_offsets(
    producer: &Arc<ThreadedProducer<Context>>,
    offsets: TopicPartitionList,
    member: ConsumerGroupMetadata,
    until: Instant,
    cancel: &CancellationToken,
) -> anyhow::Result<()> {
    let (done, sent) = channel();
    let (producer, cancelled) = (producer.clone(), cancel.clone());
    std::thread::spawn(move || {
        let request = || producer.send_offsets_to_transaction(&offsets, &member, TRY);
        let _ = done.send(tried(Some(until), &cancelled, request));
    });
    loop {
        match sent.recv_timeout(PAUSE) {
            Ok(result) => return result,
            Err(_) if cancel.is_cancelled() => anyhow::bail!("cancelled"),
            Err(RecvTimeoutError::Timeout) if Instant::now() < until => {}
            Err(_) => anyhow::bail!("the group's coordinator did not take the offsets in time"),
        }
    }
}

/// Sends a record's copy to the same partition, with the time at which it was copied in the place of that at which it was sent.
fn send(producer: &ThreadedProducer<Context>, record: &OwnedMessage, value: &mut Vec<u8>) -> anyhow::Result<()> {
    let original = record.payload();
    let topic = copy_of(record.topic());
    let message = original.and_then(Message::parse);
    if let Some(message) = message {
        let copied = Message {
            begun: now_ms(),
            ..message
        };
        copied.write(value, original.map_or(0, <[u8]>::len));
    }
    let mut copy: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&topic).partition(record.partition());
    copy.key = record.key();
    // What is not khd's is copied as it is.
    copy.payload = message.map(|_| value.as_slice()).or(original);
    producer.send(copy).map_err(|(error, _)| error)?;
    Ok(())
}

/// Tries a request again for as long as it may still succeed, which librdkafka tells: a copier, like a producer, outlasts a
/// cluster that is away, until it is cancelled, or it is too late.
fn tried(
    until: Option<Instant>,
    cancel: &CancellationToken,
    request: impl Fn() -> KafkaResult<()>,
) -> anyhow::Result<()> {
    let is_over = || cancel.is_cancelled() || until.is_some_and(|until| Instant::now() >= until);
    loop {
        match request() {
            Err(error) if is_retriable(&error) && !is_over() => {
                tracing::debug!("{error}");
                // A request that timed out has waited itself; this is for those that fail at once.
                std::thread::sleep(PAUSE);
            }
            result => return Ok(result?),
        }
    }
}

fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_retriable(),
        KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
        _ => false,
    }
}

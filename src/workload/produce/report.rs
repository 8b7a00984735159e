//! What librdkafka reports back: the fate of each message, and errors of the client.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;

use crate::kafka::client::log_line;
use crate::kafka::status::{self, Persistence};
use crate::timeline::event::{Kind, TopicPartition};
use crate::workload::events;
use crate::workload::ledger::{Line, Writer};
use crate::workload::limit::Limit;
use crate::workload::message::{Message, now_ms};
use crate::workload::metrics::METRICS;
use crate::workload::produce::book::{Book, Counts, Fate};
use crate::workload::stalls::Sends;

/// What the sending loop, librdkafka's reports and the ledger's keeper share.
#[derive(Debug)]
pub struct Shared {
    /// The partitions that are written, by slot.
    pub names: Vec<TopicPartition>,
    /// The ledger.
    pub ledger: Writer,
    /// Each slot's next sequence number: all below were begun.
    pub sent: Vec<AtomicU64>,
    /// Whether the client said that it cannot go on.
    pub fatal: AtomicBool,
    // Never locked by the sending loop for each message, so reports find it free.
    reports: Mutex<Reports>,
}

#[derive(Debug)]
struct Reports {
    book: Book,
    // The broker that last acknowledged, by slot.
    brokers: Vec<Option<i32>>,
    // The client's producer id and epoch, and when they were last seen.
    epoch: Option<((i64, i64), i64)>,
    stalls: Sends,
    failures: Limit,
    errors: Limit,
}

impl Shared {
    /// For these partitions, with this ledger.
    pub fn new(names: Vec<TopicPartition>, ledger: Writer) -> Self {
        Self {
            sent: names.iter().map(|_| AtomicU64::new(0)).collect(),
            fatal: AtomicBool::new(false),
            reports: Mutex::new(Reports {
                book: Book::new(names.clone(), now_ms()),
                brokers: vec![None; names.len()],
                epoch: None,
                stalls: Sends::new(names.len()),
                failures: Limit::default(),
                errors: Limit::default(),
            }),
            names,
            ledger,
        }
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each slot's next sequence number.
    pub fn progress(&self) -> Vec<u64> {
        self.sent.iter().map(|sent| sent.load(Ordering::SeqCst)).collect()
    }

    /// How many sends have which fate.
    pub fn counts(&self) -> Counts {
        self.reports().book.counts()
    }

    /// Lets the horizon pass what was begun until now. For the sender, between two sends.
    pub fn checkpoint(&self, now: i64) {
        let sent = self.progress();
        self.reports().book.checkpoint(now, &sent);
    }

    /// Settles a message that librdkafka did not even take.
    pub fn refuse(&self, slot: usize, sequence: u64, error: &KafkaError) {
        let now = now_ms();
        let suppressed = {
            let mut reports = self.reports();
            reports.book.settle(slot, sequence, Fate::Failed, now, now);
            reports.failures.allow()
        };
        if let Some(suppressed) = suppressed {
            let (topic, partition) = &self.names[slot];
            let message = format!("{topic}-{partition}: send {sequence} was refused: {error}");
            events::log(&Kind::ClientError { message, suppressed });
        }
    }

    /// Settles what a client that is gone did not report.
    pub fn abandon(&self) {
        let sent = self.progress();
        self.reports().book.abandon(&sent, now_ms());
    }

    /// Logs the gaps that open. To be called a few times a second.
    pub fn look_for_stalls(&self) {
        let now = now_ms();
        let sent = self.progress();
        let opened: Vec<Kind> = {
            let mut reports = self.reports();
            let Reports { book, stalls, .. } = &mut *reports;
            let slots = self.names.iter().zip(sent).enumerate();
            slots
                .filter_map(|(slot, (name, sent))| stalls.look(slot, name, sent, book.frontier(slot), now))
                .collect()
        };
        opened.iter().for_each(events::log);
    }

    /// Writes to the ledger what was settled; nothing, when nothing was and `heartbeat` is not asked for.
    /// Returns whether a line was written.
    pub fn write_settled(&self, heartbeat: bool) -> bool {
        // In this order: a send that `progress` does not show yet begins after `now`.
        let now = now_ms();
        let sent = self.progress();
        let (horizon, partitions, counts) = {
            let mut reports = self.reports();
            (
                reports.book.horizon(now, &sent),
                reports.book.drain(),
                reports.book.counts(),
            )
        };
        METRICS.sent("acknowledged", counts.acked);
        METRICS.sent("failed", counts.failed);
        METRICS.sent("unknown", counts.unknown);
        let write = heartbeat || !partitions.is_empty();
        if write {
            self.ledger.append_or_log(&Line::Settled {
                at: now_ms(),
                horizon,
                partitions,
            });
        }
        write
    }

    /// Writes to the ledger how long the acknowledged sends took since the last time.
    pub fn write_latency(&self) {
        let partitions = self.reports().book.drain_latency();
        partitions.iter().for_each(|took| METRICS.took(&took.micros));
        if !partitions.is_empty() {
            self.ledger.append_or_log(&Line::Latency {
                at: now_ms(),
                partitions,
            });
        }
    }
}

/// Packs a slot and a sequence number into the word that librdkafka carries with a message.
pub fn tag(slot: usize, sequence: u64) -> usize {
    const { assert!(usize::BITS == 64, "a message's tag needs 64 bits") };
    slot << 48 | sequence as usize
}

fn untag(tag: usize) -> (usize, u64) {
    (tag >> 48, (tag & ((1 << 48) - 1)) as u64)
}

/// The context of a producer client.
#[derive(Debug)]
pub struct Context(pub std::sync::Arc<Shared>);

impl Context {
    fn acknowledged(&self, reports: &mut Reports, slot: usize, message: &BorrowedMessage<'_>, now: i64) {
        if let Some(closed) = reports.stalls.acknowledged(slot, &self.0.names[slot], now) {
            events::log(&closed);
        }
        let Some(broker) = status::broker(message) else { return };
        let Some(last) = reports.brokers.get_mut(slot) else {
            return;
        };
        if let Some(before) = last.replace(broker).filter(|before| *before != broker) {
            let (topic, partition) = &self.0.names[slot];
            tracing::info!(
                topic,
                partition,
                from = before,
                to = broker,
                "{topic}-{partition} moved from broker {before} to broker {broker}"
            );
            let note = format!("{topic}-{partition} moved from broker {before} to broker {broker}");
            self.0.ledger.note(note);
        }
    }

    fn failed(&self, reports: &mut Reports, slot: usize, sequence: u64, fate: Fate, error: &KafkaError) {
        let Some(suppressed) = reports.failures.allow() else {
            return;
        };
        let (topic, partition) = &self.0.names[slot];
        let fate = if fate == Fate::Failed { "failed" } else { "unknown" };
        let message = format!("{topic}-{partition}: send {sequence} is {fate}: {error}");
        self.0.ledger.note(format!("{message} (and {suppressed} more before)"));
        events::log(&Kind::ClientError { message, suppressed });
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, opaque: Self::DeliveryOpaque) {
        let now = now_ms();
        let (slot, sequence) = untag(opaque);
        let begun = |message: &BorrowedMessage<'_>| {
            let value = message.payload().and_then(Message::parse);
            value.map_or(now, |value| value.begun)
        };
        let mut reports = self.0.reports();
        match result {
            Ok(message) if status::persistence(message) == Persistence::Persisted => {
                let took = status::latency(message);
                // A little too early rather than too late: it was sent at this time at the latest.
                let begun = took.map_or_else(|| begun(message), |micros| now - micros.div_ceil(1000) as i64 - 1);
                let offset = message.offset();
                reports
                    .book
                    .settle(slot, sequence, Fate::Acked { offset, took }, now, begun);
                self.acknowledged(&mut reports, slot, message, now);
            }
            // With acks=0 nobody acknowledges anything.
            Ok(message) => reports.book.settle(slot, sequence, Fate::Unknown, now, begun(message)),
            Err((error, message)) => {
                let fate = fate(error, status::persistence(message));
                reports.book.settle(slot, sequence, fate, now, begun(message));
                self.failed(&mut reports, slot, sequence, fate, error);
            }
        }
    }
}

/// What became of a send that ended with an error. librdkafka takes the word of the last leader that answered: one that is
/// deposed while it waits for its followers says that it is not the leader, and has written the message. Of a send that
/// was tried until it was given up it can therefore not be said that it was never written.
fn fate(error: &KafkaError, persistence: Persistence) -> Fate {
    use RDKafkaErrorCode::{MessageTimedOut, PurgeInflight, PurgeQueue};
    let given_up = matches!(
        error.rdkafka_error_code(),
        Some(MessageTimedOut | PurgeInflight | PurgeQueue)
    );
    match persistence {
        Persistence::NotPersisted if !given_up => Fate::Failed,
        _ => Fate::Unknown,
    }
}

impl ClientContext for Context {
    /// Once in a while: what librdkafka counts, and which producer epoch an idempotent client has.
    fn stats(&self, statistics: Statistics) {
        METRICS.counted(&statistics);
        let Some(eos) = statistics.eos else { return };
        let (epoch, now) = ((eos.producer_id, eos.producer_epoch), now_ms());
        let before = self.0.reports().epoch.replace((epoch, now));
        // None yet is −1.
        if let Some((_, since)) = before.filter(|(old, _)| *old != epoch && old.0 >= 0) {
            self.0.ledger.epoch(since);
        }
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal) {
            self.0.fatal.store(true, Ordering::SeqCst);
        }
        let Some(suppressed) = self.0.reports().errors.allow() else {
            return;
        };
        self.0.ledger.note(reason);
        let message = reason.to_owned();
        events::log(&Kind::ClientError { message, suppressed });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_slot_and_sequence() {
        for (slot, sequence) in [(0, 0), (29, 1), (65_535, (1 << 48) - 1)] {
            assert_eq!(untag(tag(slot, sequence)), (slot, sequence));
        }
    }

    #[test]
    fn a_send_that_timed_out_may_have_been_written_whatever_the_last_leader_said() {
        let of = |code| KafkaError::MessageProduction(code);
        let timed_out = of(RDKafkaErrorCode::MessageTimedOut);
        let too_large = of(RDKafkaErrorCode::MessageSizeTooLarge);
        assert_eq!(fate(&too_large, Persistence::NotPersisted), Fate::Failed);
        assert_eq!(fate(&timed_out, Persistence::NotPersisted), Fate::Unknown);
        assert_eq!(fate(&too_large, Persistence::PossiblyPersisted), Fate::Unknown);
    }
}

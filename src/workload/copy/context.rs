//! What librdkafka reports to a copier: rebalances, and errors of both clients.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};

use crate::kafka::client::log_line;
use crate::timeline::event::{Kind, TopicPartition};
use crate::workload::events;
use crate::workload::limit::Limit;
use crate::workload::logs::brief;

/// The context of a copier's consumer, and of its producer.
#[derive(Debug, Default)]
pub struct Context(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    // What was revoked and not asked for yet.
    revoked: Vec<TopicPartition>,
    errors: Limit,
}

impl Context {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was revoked since the last time that this was asked.
    pub fn take_revoked(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut self.state().revoked)
    }

    /// Logs what went wrong, at most once a second.
    pub fn trouble(&self, message: &str) {
        if let Some(suppressed) = self.state().errors.allow() {
            let message = message.to_owned();
            events::log(&Kind::ClientError { message, suppressed });
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, _: KafkaError, reason: &str) {
        self.trouble(reason);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    // What was not written makes the transaction fail.
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, _: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        // Only for people: as events for the timeline they would pass for those of the consumers' group.
        match rebalance {
            // A cooperative rebalance often gives or takes nothing.
            Rebalance::Assign(partitions) if partitions.count() > 0 => {
                tracing::info!("assigned {}", brief(&named(partitions)));
            }
            Rebalance::Revoke(partitions) if partitions.count() > 0 => {
                let revoked = named(partitions);
                tracing::info!("revoked {}", brief(&revoked));
                self.state().revoked.extend(revoked);
            }
            Rebalance::Assign(_) | Rebalance::Revoke(_) => {}
            Rebalance::Error(error) => self.trouble(&format!("rebalance failed: {error}")),
        }
    }
}

fn named(partitions: &rdkafka::TopicPartitionList) -> Vec<TopicPartition> {
    let elements = partitions.elements();
    let each = elements.iter().map(|one| (one.topic().to_owned(), one.partition()));
    each.collect()
}

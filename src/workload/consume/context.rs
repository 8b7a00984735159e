//! What librdkafka reports to a consumer: rebalances, commits, errors.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::client::log_line;
use crate::kafka::status;
use crate::settings::Commit;
use crate::timeline::event::{Kind, TopicPartition};
use crate::workload::consume::tally::Tally;
use crate::workload::events;
use crate::workload::ledger::{Committed, Line, Rebalanced, Writer};
use crate::workload::limit::Limit;
use crate::workload::message::now_ms;
use crate::workload::metrics::METRICS;
use crate::workload::stalls::Deliveries;

/// The context of a consumer client. librdkafka calls it from within `poll`, on the polling thread.
#[derive(Debug)]
pub struct Context {
    ledger: Writer,
    commit: Commit,
    group: String,
    state: Mutex<State>,
    /// Held from the moment that deliveries are taken out of the tally until their line is written: the polling thread writes,
    /// and the one that commits, and a line that overtook another would tell of a member that went back.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    tally: Tally,
    stalls: Deliveries,
    rebalances: u64,
    // What was revoked and not asked for yet, where batches are committed before they are processed.
    revoked: Vec<TopicPartition>,
    errors: Limit,
}

impl Context {
    /// Of a member of `group` that commits at that moment, with this ledger.
    pub fn new(ledger: Writer, group: &str, commit: Commit) -> Self {
        Self {
            ledger,
            commit,
            group: group.to_owned(),
            state: Mutex::default(),
            writing: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a delivery.
    pub fn deliver(&self, message: &BorrowedMessage<'_>) {
        let value = message.payload().unwrap_or_default();
        let (topic, partition, offset) = (message.topic(), message.partition(), message.offset());
        let now = now_ms();
        let closed = {
            let mut state = self.state();
            state.tally.deliver(topic, partition, offset, value, now);
            state.stalls.delivered(topic, partition, now)
        };
        closed.iter().for_each(events::log);
    }

    /// Logs the gaps that open. To be called a few times a second.
    pub fn look_for_stalls(&self) {
        let opened = self.state().stalls.look(now_ms());
        opened.iter().for_each(events::log);
    }

    /// What was revoked since the last time that this was asked.
    pub fn take_revoked(&self) -> Vec<TopicPartition> {
        std::mem::take(&mut self.state().revoked)
    }

    /// How many deliveries and rebalances there were.
    pub fn totals(&self) -> (u64, u64) {
        let state = self.state();
        (state.tally.delivered(), state.rebalances)
    }

    /// Writes to the ledger what was delivered; an empty line when nothing was and `heartbeat` is asked for.
    /// Returns whether a line was written.
    pub fn write_delivered(&self, heartbeat: bool) -> bool {
        let _in_order = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (partitions, delivered) = {
            let mut state = self.state();
            (state.tally.drain(), state.tally.delivered())
        };
        METRICS.delivered(delivered);
        let write = heartbeat || !partitions.is_empty();
        if write {
            self.ledger.append_or_log(&Line::Delivered {
                at: now_ms(),
                partitions,
            });
        }
        write
    }

    /// Writes to the ledger how long messages took since the last time.
    pub fn write_latency(&self) {
        let partitions = self.state().tally.drain_latency();
        partitions.iter().for_each(|took| METRICS.took(&took.micros));
        if !partitions.is_empty() {
            self.ledger.append_or_log(&Line::Latency {
                at: now_ms(),
                partitions,
            });
        }
    }

    /// Writes the last line.
    pub fn close_ledger(&self) {
        self.ledger.append_or_log(&Line::Closed { at: now_ms() });
    }

    /// Commits what is processed, and waits: at most for the session's time-out.
    pub fn commit_now(&self, consumer: &BaseConsumer<Self>) {
        let offsets = self.state().tally.uncommitted();
        if offsets.is_empty() {
            return;
        }
        // What a commit covers is in the ledger before it, whenever the process may be killed.
        self.write_delivered(false);
        match consumer.commit(&list(&offsets), CommitMode::Sync) {
            Ok(()) => self.confirm(offsets),
            Err(error) => self.trouble(&format!("cannot commit: {error}")),
        }
    }

    /// Commits the positions after these messages, processed or not, and waits.
    pub fn commit_ahead(&self, consumer: &BaseConsumer<Self>, batch: &[BorrowedMessage<'_>]) {
        let mut ends: BTreeMap<TopicPartition, i64> = BTreeMap::new();
        for message in batch {
            ends.insert((message.topic().to_owned(), message.partition()), message.offset() + 1);
        }
        let offsets: Vec<(TopicPartition, i64)> = ends.into_iter().collect();
        match consumer.commit(&list(&offsets), CommitMode::Sync) {
            Ok(()) => self.confirm(offsets),
            Err(error) => self.trouble(&format!("cannot commit: {error}")),
        }
    }

    fn confirm(&self, offsets: Vec<(TopicPartition, i64)>) {
        {
            let mut state = self.state();
            for ((topic, partition), offset) in &offsets {
                state.tally.confirm(topic, *partition, *offset);
            }
        }
        let committed = |((topic, partition), offset)| Committed {
            topic,
            partition,
            offset,
        };
        self.ledger.append_or_log(&Line::Committed {
            at: now_ms(),
            offsets: offsets.into_iter().map(committed).collect(),
        });
    }

    /// Logs and notes what went wrong, at most once a second.
    pub fn trouble(&self, message: &str) {
        let Some(suppressed) = self.state().errors.allow() else {
            return;
        };
        self.ledger.note(message);
        let message = message.to_owned();
        events::log(&Kind::ClientError { message, suppressed });
    }

    fn rebalanced(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) -> Rebalanced {
        let membership = status::membership(consumer);
        let partitions: Vec<TopicPartition> = partitions
            .elements()
            .iter()
            .map(|element| (element.topic().to_owned(), element.partition()))
            .collect();
        self.state().rebalances += u64::from(!partitions.is_empty());
        Rebalanced {
            at: now_ms(),
            generation: membership.as_ref().map(|membership| membership.generation),
            member: membership.map(|membership| membership.member),
            lost: consumer.assignment_lost(),
            partitions,
        }
    }
}

fn list(offsets: &[(TopicPartition, i64)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(offsets.len());
    for ((topic, partition), offset) in offsets {
        // It only fails for offsets that librdkafka cannot express; these came from it.
        let _ = list.add_partition_offset(topic, *partition, Offset::Offset(*offset));
    }
    list
}

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        METRICS.counted(&statistics);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // A topic that is gone, or not there yet, is waited for.
        let expected = [
            RDKafkaErrorCode::UnknownTopicOrPartition,
            RDKafkaErrorCode::UnknownTopic,
            RDKafkaErrorCode::PartitionEOF,
        ];
        match error.rdkafka_error_code() {
            Some(code) if expected.contains(&code) => tracing::debug!("{reason}"),
            _ => self.trouble(reason),
        }
    }
}

impl ConsumerContext for Context {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        // What was delivered before belongs before the rebalance in the ledger too.
        self.write_delivered(false);
        match rebalance {
            Rebalance::Revoke(partitions) => {
                // What others own already cannot be committed any more.
                if !consumer.assignment_lost() && self.commit == Commit::AfterProcessing {
                    self.commit_now(consumer);
                }
                let revoked = self.rebalanced(consumer, partitions);
                {
                    let mut state = self.state();
                    state.tally.forget(&revoked.partitions);
                    state.stalls.revoked(&revoked.partitions);
                    if self.commit == Commit::BeforeProcessing {
                        state.revoked.extend(revoked.partitions.iter().cloned());
                    }
                }
                events::log(&Kind::PartitionsRevoked {
                    group: self.group.clone(),
                    member: revoked.member.clone(),
                    generation: revoked.generation,
                    partitions: revoked.partitions.clone(),
                    lost: revoked.lost,
                });
                self.ledger.append_or_log(&Line::Revoked(revoked));
            }
            Rebalance::Assign(_) => {}
            Rebalance::Error(error) => self.trouble(&format!("rebalance failed: {error}")),
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            let assigned = self.rebalanced(consumer, partitions);
            self.state().stalls.assigned(&assigned.partitions, assigned.at);
            events::log(&Kind::PartitionsAssigned {
                group: self.group.clone(),
                member: assigned.member.clone(),
                generation: assigned.generation,
                partitions: assigned.partitions.clone(),
            });
            self.ledger.append_or_log(&Line::Assigned(assigned));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_deliveries_keep_their_order_whichever_thread_writes_them() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Writer::create(Some(folder.path()), "consumer-a", &Line::Closed { at: 0 }).unwrap();
        let context = Context::new(ledger, "test", Commit::AfterProcessing);
        let of_each = 20_000;
        std::thread::scope(|threads| {
            let commits = threads.spawn(|| {
                for _ in 0..of_each {
                    context.write_delivered(false);
                }
            });
            for offset in 0..of_each {
                context.state().tally.deliver("t", 0, offset, b"", 0);
                context.write_delivered(false);
            }
            commits.join().unwrap();
        });
        let file = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
        let text = std::fs::read_to_string(file.path()).unwrap();
        let lines = text
            .lines()
            .skip(1)
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let firsts: Vec<i64> = lines
            .map(|line| line["partitions"][0]["runs"][0][0].as_i64().unwrap())
            .collect();
        assert!(firsts.is_sorted(), "a line overtook another");
    }
}

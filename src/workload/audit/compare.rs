//! The log compared with the ledgers.

use serde::{Deserialize, Serialize};

use crate::timeline::event::TopicPartition;
use crate::workload::audit::summary::{InLog, LogSummary, PartitionLog};
use crate::workload::ledger::history::{Ledgers, ProducerHistory, Sends};
use crate::workload::ranges::Ranges;

/// One producer's messages in one partition: what its ledger says, compared with what the log holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The producer's id.
    pub producer: String,
    /// Whether the producer is idempotent; `None` for one without a ledger, of which only duplicates and reorders
    /// are told.
    pub idempotent: Option<bool>,
    /// Acknowledged up to the cut.
    pub acked: u64,
    /// Acknowledged, and not in the log although all of it was read: lost writes.
    pub lost: Ranges,
    /// Acknowledged, and not in what was read; but not all of the log was read, or retention has deleted its beginning.
    pub unseen: Ranges,
    /// Told as certainly failed, and in the log: aborted reads.
    pub aborted: Ranges,
    /// In the log, and never sent: phantoms.
    pub phantoms: Ranges,
    /// Neither acknowledged nor failed: of unknown fate.
    pub unknown: u64,
    /// Those of unknown fate that are in the log.
    pub unknown_written: u64,
    /// Sends that the producer gave up, in any partition: settled as failed or unknown. Once librdkafka gives up one
    /// message (`message.timeout.ms`), it takes a new producer epoch and sends again under it what was in flight, in
    /// any partition: a broker cannot know that it has written that already. So duplicates and reorders of
    /// an idempotent producer are the cluster's only where this is 0.
    pub gave_up: u64,
    /// Records that repeat an earlier one.
    pub duplicates: u64,
    /// Sequence numbers that appear first behind a later one.
    pub reorders: u64,
}

/// Compares ledgers, read with [`LogSummary::taken`] as the time until which is judged, with the log: an entry for
/// each producer and partition that either knows.
pub fn compare(ledgers: &Ledgers, log: &LogSummary) -> Vec<Compared> {
    let mut compared = Vec::new();
    for producer in &ledgers.producers {
        let id = &producer.header.producer;
        for (partition, sends) in &producer.partitions {
            let log = log.partitions.iter().find(|log| is(log, partition));
            let in_log = log.and_then(|log| log.producers.get(id));
            compared.push(Compared {
                idempotent: Some(producer.header.idempotent),
                gave_up: gave_up(producer),
                ..entry(partition, id, sends, log, in_log)
            });
        }
    }
    for log in &log.partitions {
        let partition = (log.topic.clone(), log.partition);
        for (id, in_log) in &log.producers {
            let ledger = ledgers
                .producers
                .iter()
                .find(|producer| producer.header.producer == *id);
            match ledger {
                Some(ledger) if ledger.partitions.contains_key(&partition) => {}
                // It never reserved anything there: every record is a phantom.
                Some(ledger) => compared.push(Compared {
                    idempotent: Some(ledger.header.idempotent),
                    gave_up: gave_up(ledger),
                    ..entry(&partition, id, &Sends::default(), Some(log), Some(in_log))
                }),
                None => compared.push(Compared {
                    topic: log.topic.clone(),
                    partition: log.partition,
                    producer: id.clone(),
                    duplicates: in_log.duplicates,
                    reorders: in_log.reorders,
                    ..Compared::default()
                }),
            }
        }
    }
    compared.sort_by(|a, b| (&a.topic, a.partition, &a.producer).cmp(&(&b.topic, b.partition, &b.producer)));
    compared
}

fn gave_up(producer: &ProducerHistory) -> u64 {
    let sends = producer.partitions.values();
    sends.map(|sends| sends.failed.count() + sends.unknown.count()).sum()
}

fn is(log: &PartitionLog, (topic, partition): &TopicPartition) -> bool {
    log.topic == *topic && log.partition == *partition
}

fn entry(
    (topic, partition): &TopicPartition,
    producer: &str,
    sends: &Sends,
    log: Option<&PartitionLog>,
    in_log: Option<&InLog>,
) -> Compared {
    let nothing = InLog::default();
    let in_log = in_log.unwrap_or(&nothing);
    let missing = sends.acked.without(&in_log.seen);
    let (lost, unseen) = match log {
        Some(log) if log.is_whole() => {
            // Retention deletes from the beginning: what it took is what comes before the producer's first record.
            let mut deleted = Ranges::default();
            if log.begin > 0 {
                let first = in_log.seen.iter().next().map_or(u64::MAX - 1, |range| range.start);
                deleted.insert_range(0..first);
            }
            (missing.without(&deleted), missing.within(&deleted))
        }
        _ => (Ranges::default(), missing),
    };
    let mut reserved = Ranges::default();
    reserved.insert_range(0..sends.reserved);
    let mut unknown = sends.unsettled();
    unknown.extend(&sends.unknown);
    Compared {
        topic: topic.clone(),
        partition: *partition,
        producer: producer.to_owned(),
        idempotent: None,
        gave_up: 0,
        acked: sends.acked.count(),
        lost,
        unseen,
        aborted: sends.failed.within(&in_log.seen),
        phantoms: in_log.seen.without(&reserved),
        unknown_written: unknown.within(&in_log.seen).count(),
        unknown: unknown.count(),
        duplicates: in_log.duplicates,
        reorders: in_log.reorders,
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;

//! Which messages of an idempotent producer may be in the log twice, or out of order, without blame on the cluster.
//!
//! Where librdkafka takes a new producer epoch, it sends again under it what is in flight, in any partition: a broker
//! cannot know that it has written that already. It does so once it gives up one message (`message.timeout.ms`), and also
//! when a request that overtook a failed one is refused, as after a move of leaders. So what was in flight from the begin
//! of the send that was given up, or from when the epoch before was last seen, until then is excused, and nothing else is.

use std::collections::{BTreeMap, VecDeque};

use crate::timeline::event::TopicPartition;
use crate::workload::ledger::Settled;
use crate::workload::ledger::history::Sends;

/// How long what was settled by when is remembered, in milliseconds: longer than any send is waited for.
const REMEMBERED_MS: i64 = 120_000;

/// What was acknowledged by when, of one producer.
#[derive(Debug, Default)]
pub(super) struct Excuses {
    // By the time of a line: each partition's first sequence number that was not acknowledged yet.
    settled: VecDeque<(i64, BTreeMap<TopicPartition, u64>)>,
    forgot: bool,
}

impl Excuses {
    /// Excuses what was in flight then, or has been sent since.
    pub(super) fn excuse(&self, then: i64, partitions: &mut BTreeMap<TopicPartition, Sends>) {
        let before = self.settled.iter().rev().find(|(at, _)| *at < then);
        // What was forgotten had been settled even longer ago.
        let before = before.or_else(|| self.settled.front().filter(|_| self.forgot));
        for (partition, sends) in partitions {
            let first = before.and_then(|(_, settled)| settled.get(partition)).copied();
            sends.excused.insert_range(first.unwrap_or(0)..sends.reserved);
        }
    }

    /// Takes note of a line of the ledger that has been applied to `partitions`.
    pub(super) fn note(&mut self, at: i64, line: &[Settled], partitions: &mut BTreeMap<TopicPartition, Sends>) {
        let begun = line.iter().flat_map(|settled| &settled.troubled).map(|span| span.first);
        if let Some(begun) = begun.min() {
            self.excuse(begun, partitions);
        }
        let next = |sends: &Sends| {
            sends
                .acked
                .last()
                .max(sends.acked_later.last())
                .map_or(0, |last| last + 1)
        };
        let settled = partitions
            .iter()
            .map(|(partition, sends)| (partition.clone(), next(sends)));
        self.settled.push_back((at, settled.collect()));
        while self
            .settled
            .front()
            .is_some_and(|(then, _)| at.saturating_sub(*then) > REMEMBERED_MS)
        {
            self.settled.pop_front();
            self.forgot = true;
        }
    }
}

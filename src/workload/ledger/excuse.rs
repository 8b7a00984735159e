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
pub(super) struct Excuses(BTreeMap<TopicPartition, Acknowledged>);

/// A partition's first sequence number that was not acknowledged yet, by the times of lines; the oldest first.
#[derive(Debug, Default)]
struct Acknowledged {
    until: VecDeque<(i64, u64)>,
    forgot: bool,
}

impl Acknowledged {
    fn before(&self, then: i64) -> u64 {
        let before = self.until.iter().rev().find(|(at, _)| *at < then);
        // What was forgotten had been acknowledged even longer ago.
        let before = before.or_else(|| self.until.front().filter(|_| self.forgot));
        before.map_or(0, |(_, until)| *until)
    }

    fn note(&mut self, at: i64, until: u64) {
        self.until.push_back((at, until));
        let old = |then: &(i64, u64)| at.saturating_sub(then.0) > REMEMBERED_MS;
        // The last of the old ones still holds at the begin of what is remembered.
        while self.until.get(1).is_some_and(old) {
            self.until.pop_front();
            self.forgot = true;
        }
    }
}

impl Excuses {
    /// Excuses what was in flight then, or has been sent since.
    pub(super) fn excuse(&self, then: i64, partitions: &mut BTreeMap<TopicPartition, Sends>) {
        for (partition, sends) in partitions {
            let first = self
                .0
                .get(partition)
                .map_or(0, |acknowledged| acknowledged.before(then));
            sends.excused.insert_range(first..sends.reserved);
        }
    }

    /// Takes note of a line of the ledger that has been applied to `partitions`.
    pub(super) fn note(&mut self, at: i64, line: Vec<Settled>, partitions: &mut BTreeMap<TopicPartition, Sends>) {
        let begun = line.iter().flat_map(|settled| &settled.troubled).map(|span| span.first);
        if let Some(begun) = begun.min() {
            self.excuse(begun, partitions);
        }
        for settled in line.into_iter().filter(|settled| !settled.acked.is_empty()) {
            let partition = (settled.topic, settled.partition);
            let sends = partitions.get(&partition);
            let last = sends.and_then(|sends| sends.acked.last().max(sends.acked_later.last()));
            let until = last.map_or(0, |last| last + 1);
            self.0.entry(partition).or_default().note(at, until);
        }
    }
}

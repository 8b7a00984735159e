//! Which messages of an idempotent producer may be in the log twice, or out of order, without blame on the cluster.
//!
//! Where librdkafka takes a new producer epoch, it sends again under it what is in flight, in any partition: a broker
//! cannot know that it has written that already. It does so once it gives up one message (`message.timeout.ms`), and also
//! when a request that overtook a failed one is refused, as after a move of leaders. So what was in flight from the begin
//! of the send that was given up, or from when the epoch before was last seen, until then is excused, and nothing else is.

use std::collections::VecDeque;

use crate::workload::ledger::history::Sends;

/// How long what was settled by when is remembered, in milliseconds: longer than any send is waited for.
const REMEMBERED_MS: i64 = 120_000;

/// The first sequence number that was not acknowledged yet, of one producer and partition, by the times of lines; the oldest first.
#[derive(Debug, Default)]
pub(super) struct Acknowledged {
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

    /// Takes note of a line of the ledger, of this time, that has been applied to the partition's sends.
    pub(super) fn note(&mut self, at: i64, sends: &Sends) {
        let last = sends.acked.last().max(sends.acked_later.last());
        self.until.push_back((at, last.map_or(0, |last| last + 1)));
        let old = |then: &(i64, u64)| at.saturating_sub(then.0) > REMEMBERED_MS;
        // The last of the old ones still holds at the begin of what is remembered.
        while self.until.get(1).is_some_and(old) {
            self.until.pop_front();
            self.forgot = true;
        }
    }

    /// Excuses what was in flight then, or has been sent since.
    pub(super) fn excuse(&self, then: i64, sends: &mut Sends) {
        sends.excused.insert_range(self.before(then)..sends.reserved);
    }
}

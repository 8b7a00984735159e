//! The book of sends: what is settled and not yet in the ledger, and since when everything is settled.
//!
//! Its size follows from the gaps and from a quarter of a second's messages, not from all messages.

use std::collections::VecDeque;

use smallvec::SmallVec;

use crate::timeline::event::TopicPartition;
use crate::workload::latency::Latency;
use crate::workload::ledger::{Settled, Took};
use crate::workload::placements::Placed;
use crate::workload::ranges::Ranges;
use crate::workload::spans::{self, Span};

/// How often the sender's progress is noted for the horizon, in milliseconds.
const CHECKPOINT_MS: i64 = 50;

/// What became of a send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Acknowledged, at this offset as librdkafka gives it.
    Acked {
        /// Negative where it gives none.
        offset: i64,
        /// How long the send took, in microseconds, where that is known.
        took: Option<u64>,
    },
    /// Certainly not written.
    Failed,
    /// Written or not.
    Unknown,
}

/// How many sends of each fate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Acknowledged.
    pub acked: u64,
    /// Failed.
    pub failed: u64,
    /// Unknown.
    pub unknown: u64,
}

/// One partition's page.
#[derive(Debug, Default)]
struct Slot {
    acked: SmallVec<[Placed; 1]>,
    // When the first of these began.
    earliest: Option<i64>,
    took: Latency,
    spans: SmallVec<[Span; 1]>,
    failed: Ranges,
    unknown: Ranges,
    troubled: SmallVec<[Span; 1]>,
    // Every sequence below is settled; those above that are settled too stand apart.
    frontier: u64,
    ahead: Ranges,
    // The last acknowledged offset, and whether it was the message's own.
    last_offset: Option<(i64, bool)>,
}

/// The book.
#[derive(Debug)]
pub struct Book {
    names: Vec<TopicPartition>,
    slots: Vec<Slot>,
    counts: Counts,
    // What had been begun by when, oldest first: each list holds the next sequence of each slot.
    checkpoints: VecDeque<(i64, Vec<u64>)>,
    horizon: i64,
}

impl Book {
    /// An empty book for these partitions.
    pub fn new(names: Vec<TopicPartition>, now: i64) -> Self {
        Self {
            slots: names.iter().map(|_| Slot::default()).collect(),
            names,
            counts: Counts::default(),
            checkpoints: VecDeque::new(),
            horizon: now,
        }
    }

    /// Notes the fate, learnt at `now`, of a send that began at `begun`.
    pub fn settle(&mut self, slot: usize, sequence: u64, fate: Fate, now: i64, begun: i64) {
        let Some(slot) = self.slots.get_mut(slot) else {
            return;
        };
        match fate {
            Fate::Acked { offset, took } => {
                self.counts.acked += 1;
                slot.acknowledge(sequence, offset);
                slot.earliest = Some(slot.earliest.map_or(begun, |earliest| earliest.min(begun)));
                took.into_iter().for_each(|micros| slot.took.record(micros));
                spans::push(&mut slot.spans, now);
            }
            Fate::Failed => {
                self.counts.failed += 1;
                slot.failed.insert(sequence);
                spans::push(&mut slot.troubled, begun);
            }
            Fate::Unknown => {
                self.counts.unknown += 1;
                slot.unknown.insert(sequence);
                spans::push(&mut slot.troubled, begun);
            }
        }
        slot.advance(sequence);
    }

    /// Settles every send below `sent` that has no fate yet as unknown: its client is gone and will not tell. When each of
    /// them began is not known but for that all before the horizon are settled.
    pub fn abandon(&mut self, sent: &[u64], now: i64) {
        for (slot, sent) in sent.iter().enumerate() {
            let Some(page) = self.slots.get(slot) else { continue };
            let mut open = Ranges::default();
            open.insert_range(page.frontier..*sent);
            for range in open.without(&page.ahead).iter() {
                for sequence in range {
                    self.settle(slot, sequence, Fate::Unknown, now, self.horizon.min(now));
                }
            }
        }
    }

    /// Notes that every send begun before `now` is below `sent`. Called by the sender before it begins the next.
    pub fn checkpoint(&mut self, now: i64, sent: &[u64]) {
        if self.checkpoints.back().is_none_or(|(at, _)| now - at >= CHECKPOINT_MS) {
            self.checkpoints.push_back((now, sent.to_vec()));
        }
    }

    /// Since when everything is settled: `now`, when all below `sent` is.
    pub fn horizon(&mut self, now: i64, sent: &[u64]) -> i64 {
        while let Some((at, sent)) = self.checkpoints.front() {
            if !self.settled(sent) {
                break;
            }
            self.horizon = self.horizon.max(*at);
            self.checkpoints.pop_front();
        }
        if self.settled(sent) {
            self.horizon = self.horizon.max(now);
        }
        self.horizon
    }

    fn settled(&self, sent: &[u64]) -> bool {
        self.slots.iter().zip(sent).all(|(slot, sent)| slot.frontier >= *sent)
    }

    /// Below which sequence number every send of a slot is settled.
    pub fn frontier(&self, slot: usize) -> u64 {
        self.slots.get(slot).map_or(0, |slot| slot.frontier)
    }

    /// How many sends have which fate.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes out what was settled since the last time, for the ledger.
    pub fn drain(&mut self) -> Vec<Settled> {
        self.names
            .iter()
            .zip(&mut self.slots)
            .filter(|(_, slot)| !slot.spans.is_empty() || !slot.troubled.is_empty())
            .map(|((topic, partition), slot)| Settled {
                topic: topic.clone(),
                partition: *partition,
                acked: std::mem::take(&mut slot.acked),
                earliest: slot.earliest.take(),
                spans: std::mem::take(&mut slot.spans),
                failed: std::mem::take(&mut slot.failed),
                unknown: std::mem::take(&mut slot.unknown),
                troubled: std::mem::take(&mut slot.troubled),
            })
            .collect()
    }

    /// Takes out how long the acknowledged sends took since the last time, for the ledger.
    pub fn drain_latency(&mut self) -> Vec<Took> {
        self.names
            .iter()
            .zip(&mut self.slots)
            .filter(|(_, slot)| !slot.took.is_empty())
            .map(|((topic, partition), slot)| Took {
                topic: topic.clone(),
                partition: *partition,
                producer: None,
                micros: std::mem::take(&mut slot.took),
            })
            .collect()
    }
}

impl Slot {
    fn acknowledge(&mut self, sequence: u64, offset: i64) {
        // When a retry finds its batch already written, or a later batch acknowledges an earlier one, librdkafka
        // knows no offset: it counts up from a negative number through the batch, and may so pass zero.
        let follows_unknown = matches!(self.last_offset, Some((last, false)) if offset == last + 1);
        let known = offset >= 0 && !follows_unknown;
        self.last_offset = Some((offset, known));
        let offset = if known { offset } else { -1 };
        match self.acked.last_mut() {
            Some(run)
                if sequence == run.sequence + run.count
                    && match run.offset {
                        -1 => !known,
                        first => offset == first + run.count as i64,
                    } =>
            {
                run.count += 1;
            }
            _ => self.acked.push(Placed {
                sequence,
                count: 1,
                offset,
            }),
        }
    }

    fn advance(&mut self, sequence: u64) {
        if sequence != self.frontier {
            self.ahead.insert(sequence);
            return;
        }
        self.frontier += 1;
        if let Some(range) = self.ahead.around(self.frontier) {
            self.frontier = range.end;
            self.ahead.remove_range(range);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn book() -> Book {
        Book::new(vec![("t".into(), 0), ("t".into(), 1)], 0)
    }

    fn acked(offset: i64) -> Fate {
        Fate::Acked {
            offset,
            took: Some(1_500),
        }
    }

    proptest! {
        #[test]
        fn every_send_is_drained_once_with_its_fate(
            fates in proptest::collection::vec((0..3u8, 0..10u8), 1..200),
            drains in proptest::collection::btree_set(0..200usize, 0..5),
        ) {
            // Settled in another order than sent, within a window.
            let mut order: Vec<usize> = (0..fates.len()).collect();
            order.sort_by_key(|index| index + usize::from(fates[*index].1));
            let mut book = book();
            let (mut got_acked, mut got_failed, mut got_unknown) = (Ranges::default(), Ranges::default(), Ranges::default());
            let mut times = 0;
            for (step, index) in order.iter().enumerate() {
                let sequence = *index as u64;
                let fate = match fates[*index].0 {
                    0 => acked(1_000 + sequence as i64),
                    1 => Fate::Failed,
                    _ => Fate::Unknown,
                };
                book.settle(0, sequence, fate, step as i64, 0);
                if drains.contains(&step) || step + 1 == order.len() {
                    for settled in book.drain() {
                        for run in &settled.acked {
                            prop_assert_eq!(run.offset, 1_000 + run.sequence as i64);
                            got_acked.insert_range(run.sequence..run.sequence + run.count);
                        }
                        times += settled.spans.iter().chain(&settled.troubled).map(|span| span.count).sum::<u64>();
                        got_failed.extend(&settled.failed);
                        got_unknown.extend(&settled.unknown);
                    }
                }
            }
            prop_assert_eq!(times, fates.len() as u64);
            for (index, (fate, _)) in fates.iter().enumerate() {
                let sequence = index as u64;
                prop_assert_eq!(got_acked.contains(sequence), *fate == 0);
                prop_assert_eq!(got_failed.contains(sequence), *fate == 1);
                prop_assert_eq!(got_unknown.contains(sequence), *fate == 2);
            }
            prop_assert_eq!(book.slots[0].frontier, fates.len() as u64);
            prop_assert!(book.slots[0].ahead.is_empty());
        }
    }

    #[test]
    fn the_horizon_waits_for_the_oldest_unsettled_send() {
        let mut book = book();
        book.checkpoint(1_000, &[0, 0]);
        book.checkpoint(1_060, &[1, 0]);
        book.checkpoint(1_120, &[1, 1]);
        assert_eq!(book.horizon(1_150, &[1, 1]), 1_000);
        book.settle(1, 0, acked(5), 1_160, 0);
        assert_eq!(book.horizon(1_170, &[1, 1]), 1_000, "the older one is still open");
        book.settle(0, 0, acked(5), 1_180, 0);
        assert_eq!(book.horizon(1_190, &[2, 1]), 1_120, "a newer one is in flight");
        book.settle(0, 1, Fate::Unknown, 1_200, 1_120);
        assert_eq!(book.horizon(1_300, &[2, 1]), 1_300);
    }

    #[test]
    fn a_line_tells_when_the_first_of_its_sends_began_and_latencies_are_drained_apart() {
        let mut book = book();
        book.settle(0, 0, acked(5), 1_160, 1_150);
        book.settle(0, 1, acked(6), 1_170, 1_140);
        assert_eq!(book.drain()[0].earliest, Some(1_140));
        let took = book.drain_latency();
        assert_eq!((took.len(), took[0].micros.count()), (1, 2));
        assert!(book.drain_latency().is_empty());
    }

    #[test]
    fn sends_of_a_client_that_is_gone_become_unknown() {
        let mut book = book();
        book.settle(0, 0, acked(0), 1, 0);
        book.settle(0, 2, Fate::Failed, 1, 0);
        book.abandon(&[4, 1], 9);
        assert_eq!(
            book.counts(),
            Counts {
                acked: 1,
                failed: 1,
                unknown: 3
            }
        );
        assert_eq!(book.horizon(10, &[4, 1]), 10);
    }

    #[test]
    fn an_offset_counted_up_from_an_unknown_one_is_not_taken_for_the_messages_own() {
        let mut book = book();
        for (sequence, offset) in [(0, -2), (1, -1), (2, 0), (3, 1), (4, 700), (5, 701)] {
            book.settle(0, sequence, acked(offset), 1, 0);
        }
        let runs: Vec<(u64, u64, i64)> = book.drain()[0].acked.iter().map(|run| (*run).into()).collect();
        assert_eq!(runs, [(0, 4, -1), (4, 2, 700)]);
    }
}

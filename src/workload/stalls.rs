//! Gaps as they open and close, as a producer or a consumer notices them.
//!
//! A gap opens when a partition has had no success for longer than [`PATIENCE_MS`] although it should have had one,
//! and closes with the next. When one is due follows from a send that is not settled ([`Sends`]), or from the pace
//! at which messages came before ([`Deliveries`]). Times are milliseconds since the Unix epoch.
//!
//! This is for those who watch; checks find gaps in the ledgers, which miss none.

use std::collections::HashMap;

use crate::timeline::event::{Kind, Success, TopicPartition};

/// How long a partition may be without a success that is due.
pub const PATIENCE_MS: i64 = 1_000;
/// How many times its usual interval a partition may be without a delivery.
const INTERVALS: f64 = 5.0;
/// Deliveries closer to each other than this came in one batch: what lies between them is not their interval.
const BATCH_MS: i64 = 50;
/// How much one interval counts in the usual one.
const WEIGHT: f64 = 0.125;

/// One partition's successes.
#[derive(Debug, Default)]
struct Stall {
    last: Option<i64>,
    open: Option<i64>,
}

impl Stall {
    /// Takes in a success, and gives the beginning of the gap that it ends.
    fn success(&mut self, now: i64) -> Option<i64> {
        self.last = Some(now);
        self.open.take()
    }

    /// Takes in that a success has been due since `due`, and gives the beginning of the gap that opens.
    fn due(&mut self, due: i64, patience: i64, now: i64) -> Option<i64> {
        let since = self.last.unwrap_or(due);
        if self.open.is_some() || now - since.max(due) <= patience {
            return None;
        }
        self.open = Some(since);
        Some(since)
    }
}

fn opened(of: Success, partition: &TopicPartition, since: i64) -> Kind {
    Kind::GapOpened {
        of,
        topic: partition.0.clone(),
        partition: partition.1,
        since,
    }
}

fn closed(of: Success, partition: &TopicPartition, from: i64, to: i64) -> Kind {
    Kind::GapClosed {
        of,
        topic: partition.0.clone(),
        partition: partition.1,
        from,
        // The clock may have been set back.
        to: to.max(from),
    }
}

/// Watches the sends of a producer.
#[derive(Debug)]
pub struct Sends {
    slots: Vec<(Stall, Option<Begun>)>,
}

/// Every send below `until` had begun at `at`, and not all of them were settled.
#[derive(Debug, Clone, Copy)]
struct Begun {
    until: u64,
    at: i64,
}

impl Sends {
    /// For so many partitions.
    pub fn new(partitions: usize) -> Self {
        Self {
            slots: std::iter::repeat_with(Default::default).take(partitions).collect(),
        }
    }

    /// Takes in an acknowledgement, and gives the gap that it closes.
    pub fn acknowledged(&mut self, slot: usize, name: &TopicPartition, now: i64) -> Option<Kind> {
        let (stall, _) = self.slots.get_mut(slot)?;
        let from = stall.success(now)?;
        Some(closed(Success::Acknowledgement, name, from, now))
    }

    /// Looks at a partition of which every send below `sent` has begun, and every one below `settled` is settled.
    /// Gives the gap that opens. To be called a few times in [`PATIENCE_MS`].
    pub fn look(&mut self, slot: usize, name: &TopicPartition, sent: u64, settled: u64, now: i64) -> Option<Kind> {
        let (stall, begun) = self.slots.get_mut(slot)?;
        *begun = begun.filter(|begun| settled < begun.until);
        if settled < sent && begun.is_none() {
            *begun = Some(Begun { until: sent, at: now });
        }
        let since = stall.due((*begun)?.at, PATIENCE_MS, now)?;
        Some(opened(Success::Acknowledgement, name, since))
    }
}

/// Watches the deliveries of a consumer.
#[derive(Debug, Default)]
pub struct Deliveries {
    // By topic, then partition: a lookup must not build a key for each message.
    topics: HashMap<String, HashMap<i32, Receiving>>,
}

#[derive(Debug, Default)]
struct Receiving {
    stall: Stall,
    /// Since when the consumer owns it.
    owned: Option<i64>,
    /// The usual interval in milliseconds. Nothing is due where there was none yet.
    usual: Option<f64>,
    /// When its last gap ended.
    gap_ended: Option<i64>,
}

impl Receiving {
    /// Learns from a delivery before the stall does.
    fn learn(&mut self, now: i64) {
        let Some(before) = self.stall.last else { return };
        let interval = now - before;
        let batch = interval < BATCH_MS;
        // One gap is no pace; when the next follows sooner than it is long, it is one.
        let gap = self.stall.open.is_some();
        let single = gap && self.gap_ended.is_none_or(|ended| before - ended >= interval);
        if gap {
            self.gap_ended = Some(now);
        }
        match &mut self.usual {
            None => self.usual = Some(if batch { 0.0 } else { interval as f64 }),
            Some(_) if batch || single => {}
            Some(usual) => *usual += WEIGHT * (interval as f64 - *usual),
        }
    }
}

impl Deliveries {
    fn partition(&mut self, topic: &str, partition: i32) -> Option<&mut Receiving> {
        if !self.topics.contains_key(topic) {
            self.topics.insert(topic.to_owned(), HashMap::new());
        }
        Some(self.topics.get_mut(topic)?.entry(partition).or_default())
    }

    /// Takes in that partitions are the consumer's.
    pub fn assigned(&mut self, partitions: &[TopicPartition], now: i64) {
        for (topic, partition) in partitions {
            if let Some(receiving) = self.partition(topic, *partition) {
                receiving.owned = Some(now);
                receiving.stall = Stall::default();
            }
        }
    }

    /// Takes in that partitions are the consumer's no more: what gap there was is someone else's.
    pub fn revoked(&mut self, partitions: &[TopicPartition]) {
        for (topic, partition) in partitions {
            if let Some(receiving) = self.partition(topic, *partition) {
                receiving.owned = None;
                receiving.stall = Stall::default();
            }
        }
    }

    /// Takes in a delivery, and gives the gap that it closes.
    pub fn delivered(&mut self, topic: &str, partition: i32, now: i64) -> Option<Kind> {
        let receiving = self.partition(topic, partition)?;
        receiving.learn(now);
        let from = receiving.stall.success(now)?;
        Some(closed(Success::Delivery, &(topic.to_owned(), partition), from, now))
    }

    /// Looks at all partitions, and gives the gaps that open.
    pub fn look(&mut self, now: i64) -> Vec<Kind> {
        let mut gaps = Vec::new();
        for (topic, partitions) in &mut self.topics {
            for (partition, receiving) in partitions {
                let (Some(owned), Some(usual)) = (receiving.owned, receiving.usual) else {
                    continue;
                };
                let patience = PATIENCE_MS.max((INTERVALS * usual) as i64);
                let due = receiving.stall.last.unwrap_or(owned);
                if let Some(since) = receiving.stall.due(due, patience, now) {
                    gaps.push(opened(Success::Delivery, &(topic.clone(), *partition), since));
                }
            }
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name() -> TopicPartition {
        ("t".into(), 0)
    }

    fn ack_opened(since: i64) -> Option<Kind> {
        Some(opened(Success::Acknowledgement, &name(), since))
    }

    fn ack_closed(from: i64, to: i64) -> Option<Kind> {
        Some(closed(Success::Acknowledgement, &name(), from, to))
    }

    /// A producer with one partition.
    struct One(Sends);

    impl One {
        fn look(&mut self, sent: u64, settled: u64, now: i64) -> Option<Kind> {
            self.0.look(0, &name(), sent, settled, now)
        }

        fn acknowledged(&mut self, now: i64) -> Option<Kind> {
            self.0.acknowledged(0, &name(), now)
        }
    }

    #[test]
    fn a_send_that_is_not_settled_opens_one_gap_and_the_next_acknowledgement_closes_it() {
        let mut sends = One(Sends::new(1));
        assert_eq!(sends.acknowledged(900), None);
        assert_eq!(sends.look(5, 1, 1_000), None);
        assert_eq!(sends.look(7, 1, 2_000), None, "a second is not yet too long");
        assert_eq!(sends.look(8, 1, 2_250), ack_opened(900));
        assert_eq!(sends.look(9, 1, 2_500), None, "told once");
        // Settled, but not by an acknowledgement.
        assert_eq!(sends.look(9, 9, 2_750), None);
        assert_eq!(sends.look(10, 9, 9_000), None, "the gap is still the same");
        assert_eq!(sends.acknowledged(9_100), ack_closed(900, 9_100));
        assert_eq!(sends.acknowledged(9_200), None);
        assert_eq!(
            sends.look(11, 11, 20_000),
            None,
            "nothing is due when everything is settled"
        );
    }

    #[test]
    fn where_nothing_was_ever_acknowledged_a_gap_counts_from_the_first_send() {
        let mut sends = One(Sends::new(1));
        assert_eq!(sends.look(0, 0, 100), None);
        assert_eq!(sends.look(1, 0, 5_000), None);
        assert_eq!(sends.look(1, 0, 6_250), ack_opened(5_000));
    }

    #[test]
    fn a_producer_that_sends_rarely_has_no_gap_between_its_sends() {
        let mut sends = One(Sends::new(1));
        for round in 0..5_u64 {
            let at = 10_000 * round as i64;
            assert_eq!(sends.look(round + 1, round, at), None);
            assert_eq!(sends.acknowledged(at + 100), None);
            assert_eq!(sends.look(round + 1, round + 1, at + 250), None);
        }
    }

    #[test]
    fn a_long_queue_is_no_gap_while_acknowledgements_come() {
        let mut sends = One(Sends::new(1));
        // Every send takes 3 s.
        for now in (0..20_000).step_by(250) {
            assert_eq!(sends.look(now as u64 + 3_000, now as u64, now), None);
            assert_eq!(sends.acknowledged(now), None);
        }
    }

    fn deliver(deliveries: &mut Deliveries, every: i64, times: i64) -> i64 {
        deliver_from(deliveries, 0, every, times)
    }

    fn deliver_from(deliveries: &mut Deliveries, first: i64, every: i64, times: i64) -> i64 {
        let last = first + every * (times - 1);
        for now in (first..=last).step_by(every as usize) {
            assert_eq!(deliveries.look(now), []);
            assert_eq!(deliveries.delivered("t", 0, now), None);
        }
        last
    }

    #[test]
    fn a_partition_without_deliveries_opens_one_gap_after_five_usual_intervals_and_at_least_a_second() {
        for (every, patience) in [(20, 1_000), (100, 1_000), (2_000, 9_000)] {
            let mut deliveries = Deliveries::default();
            deliveries.assigned(&[name()], 0);
            let last = deliver(&mut deliveries, every, 40);
            assert_eq!(deliveries.look(last + patience), [], "every {every} ms");
            let gap = opened(Success::Delivery, &name(), last);
            assert_eq!(deliveries.look(last + 5 * every + 1_001), [gap], "every {every} ms");
            assert_eq!(deliveries.look(last + 60_000), []);
            let end = closed(Success::Delivery, &name(), last, last + 70_000);
            assert_eq!(deliveries.delivered("t", 0, last + 70_000), Some(end));
            assert_eq!(deliveries.delivered("t", 0, last + 70_001), None);
            // The gap itself is not what is usual from now on.
            let next = deliver_from(&mut deliveries, last + 70_000 + every, every, 20);
            assert_ne!(deliveries.look(next + 5 * every + 1_001), [], "every {every} ms");
        }
    }

    #[test]
    fn batches_that_come_rarely_are_no_gaps() {
        let mut deliveries = Deliveries::default();
        deliveries.assigned(&[name()], 0);
        for batch in 0..50 {
            // The first teach it the pace.
            if batch > 4 {
                assert_eq!(deliveries.look(batch * 1_500 - 1), []);
            }
            for message in 0..20 {
                deliveries.delivered("t", 0, batch * 1_500 + message);
            }
        }
    }

    #[test]
    fn a_revoked_partition_has_no_gap_and_one_that_comes_back_begins_anew() {
        let mut deliveries = Deliveries::default();
        deliveries.assigned(&[name()], 0);
        let last = deliver(&mut deliveries, 100, 10);
        assert_eq!(deliveries.look(last + 2_000).len(), 1);
        deliveries.revoked(&[name()]);
        assert_eq!(deliveries.look(last + 9_000), []);
        deliveries.assigned(&[name()], 20_000);
        assert_eq!(deliveries.look(20_900), []);
        let gap = opened(Success::Delivery, &name(), 20_000);
        assert_eq!(deliveries.look(21_100), [gap]);
    }

    #[test]
    fn a_partition_that_never_gave_anything_has_no_gap() {
        let mut deliveries = Deliveries::default();
        deliveries.assigned(&[name()], 0);
        assert_eq!(deliveries.look(100_000), []);
    }
}

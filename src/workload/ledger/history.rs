//! What ledgers tell, once read: histories of producers and consumers.

use std::collections::BTreeMap;

use crate::settings::GroupProtocol;
use crate::timeline::event::TopicPartition;
use crate::workload::latency::Latency;
use crate::workload::ledger::{ConsumerHeader, ProducerHeader, Rebalanced};
use crate::workload::placements::Placements;
use crate::workload::ranges::Ranges;
use crate::workload::spans::Activity;

/// All ledgers of a lab.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ledgers {
    /// Producers, by the time they started.
    pub producers: Vec<ProducerHistory>,
    /// Consumers, by the time they started.
    pub consumers: Vec<ConsumerHistory>,
}

/// What one producer was told.
#[derive(Debug, Clone, PartialEq)]
pub struct ProducerHistory {
    /// Who it is.
    pub header: ProducerHeader,
    /// Its sends by partition.
    pub partitions: BTreeMap<TopicPartition, Sends>,
    /// How long its acknowledged sends took, by the second (since the Unix epoch) in which it noted them.
    pub latency: BTreeMap<i64, Latency>,
    /// Every send begun before this is settled.
    pub horizon: i64,
    /// When it last wrote its ledger.
    pub last: i64,
    /// Whether it ended cleanly.
    pub closed: bool,
    /// Notes, with their times.
    pub notes: Vec<(i64, String)>,
}

/// One producer's sends to one partition, as sets of sequence numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sends {
    /// Every sequence number below this may have been sent.
    pub reserved: u64,
    /// Acknowledged up to the moment until which is judged.
    pub acked: Ranges,
    /// Acknowledged later.
    pub acked_later: Ranges,
    /// Certainly not written, as librdkafka says.
    pub failed: Ranges,
    /// Settled as unknown: may or may not be in the log.
    pub unknown: Ranges,
    /// Where brokers said that they put those of [`acked`](Self::acked) of which they told it.
    pub placed: Placements,
    /// How the acknowledged offsets rose with time, in the order of the ledger.
    pub tides: Vec<Tide>,
    /// Those that may be in the log twice, or behind later ones, without blame on the cluster: the
    /// client gave up another one while they were in flight.
    pub excused: Ranges,
    /// When sends were acknowledged.
    pub acks: Activity,
    /// When sends that failed or are unknown began.
    pub troubled: Activity,
    /// How long acknowledged sends took.
    pub latency: Latency,
}

/// Acknowledgements that were noted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tide {
    /// When the first of their sends began.
    pub begun: i64,
    /// When all of them were acknowledged.
    pub at: i64,
    /// Their least offset.
    pub low: i64,
    /// Their greatest offset.
    pub high: i64,
    /// Sequence number of the message at the least offset.
    pub lowest: u64,
}

impl Tide {
    /// Makes one of both. It says less: that an offset was acknowledged after a greater one shows only where all of one
    /// tide was acknowledged before anything of the other began.
    pub fn join(&mut self, other: Self) {
        self.begun = self.begun.min(other.begun);
        self.at = self.at.max(other.at);
        if other.low < self.low {
            (self.low, self.lowest) = (other.low, other.lowest);
        }
        self.high = self.high.max(other.high);
    }
}

impl Sends {
    /// What was reserved and is not settled: in flight, never sent, or sent by a process that died. Its fate is
    /// as unknown as that of [`unknown`](Self::unknown). Nothing, once the producer has ended cleanly.
    pub fn unsettled(&self) -> Ranges {
        let mut reserved = Ranges::default();
        reserved.insert_range(0..self.reserved);
        reserved.without(&self.settled())
    }

    /// What is settled, in whichever way.
    pub fn settled(&self) -> Ranges {
        let mut settled = self.acked.clone();
        settled.extend(&self.acked_later);
        settled.extend(&self.failed);
        settled.extend(&self.unknown);
        settled
    }
}

/// What one consumer delivered.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsumerHistory {
    /// Who it is.
    pub header: ConsumerHeader,
    /// What it delivered, by partition.
    pub partitions: BTreeMap<TopicPartition, Deliveries>,
    /// Its rebalances, in order.
    pub rebalances: Vec<Rebalance>,
    /// How long messages took from their sends to their deliveries, by the second (since the Unix epoch) in which it
    /// noted them.
    pub latency: BTreeMap<i64, Latency>,
    /// When it last wrote its ledger.
    pub last: i64,
    /// Whether it ended cleanly.
    pub closed: bool,
    /// Notes, with their times.
    pub notes: Vec<(i64, String)>,
}

impl ConsumerHistory {
    /// Which partitions it held last, as far as its ledger tells.
    pub fn assignment(&self) -> Vec<TopicPartition> {
        let mut held = std::collections::BTreeSet::new();
        for rebalance in &self.rebalances {
            for partition in &rebalance.what.partitions {
                match rebalance.kind {
                    RebalanceKind::Assigned => held.insert(partition.clone()),
                    RebalanceKind::Revoked => held.remove(partition),
                };
            }
        }
        held.into_iter().collect()
    }
}

/// What one consumer delivered from one partition.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Deliveries {
    /// What it delivered from one assignment of the partition to the next, in order.
    pub tenures: Vec<Tenure>,
    /// When there were deliveries.
    pub times: Activity,
    /// The last committed offset that the coordinator confirmed.
    pub committed: Option<i64>,
    /// Commits beyond what the consumer had delivered until then.
    pub overcommits: Vec<Overcommit>,
    /// Where the position moved otherwise than to the next offset, without a rebalance between.
    pub jumps: Vec<Jump>,
    /// How long messages took from their sends to their deliveries, by producer.
    pub latency: BTreeMap<String, Latency>,
}

impl Deliveries {
    /// The offsets that were delivered.
    pub fn offsets(&self) -> Ranges {
        let mut offsets = Ranges::default();
        self.tenures.iter().for_each(|tenure| offsets.extend(&tenure.offsets));
        offsets
    }

    /// How many deliveries there were; more than offsets when some were delivered again.
    pub fn count(&self) -> u64 {
        self.tenures.iter().map(|tenure| tenure.count).sum()
    }
}

/// What one consumer delivered from a partition while that was assigned to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tenure {
    /// When the partition was assigned.
    pub since: i64,
    /// When the consumer last delivered from it; [`since`](Self::since) if it never did.
    pub until: i64,
    /// The group's generation at the assignment, where known.
    pub generation: Option<i32>,
    /// The offsets it delivered.
    pub offsets: Ranges,
    /// How many deliveries there were.
    pub count: u64,
}

/// A commit beyond what the consumer had delivered until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overcommit {
    /// When.
    pub at: i64,
    /// The committed offset.
    pub offset: i64,
    /// The offset after the last one that the consumer had delivered; 0 if it had delivered none.
    pub processed: i64,
}

/// A step of a consumer's position that is not to the next offset. Forward over existing records it is a poll
/// skip; over what holds no record (markers of transactions, compacted records) it is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jump {
    /// The offset delivered before.
    pub from: i64,
    /// The offset delivered next.
    pub to: i64,
    /// About when: the time of the ledger's line.
    pub at: i64,
}

/// A rebalance as one consumer saw it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebalance {
    /// Whether partitions came or went.
    pub kind: RebalanceKind,
    /// When, which partitions, and in which generation.
    pub what: Rebalanced,
}

/// Whether partitions came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RebalanceKind {
    /// They were given to the consumer.
    Assigned,
    /// They were taken from it.
    Revoked,
}

impl Ledgers {
    /// When any producer's sends were acknowledged, by partition.
    pub fn acks(&self) -> BTreeMap<TopicPartition, Activity> {
        let sends = self.producers.iter().flat_map(|producer| &producer.partitions);
        merged(sends.map(|(partition, sends)| (partition.clone(), &sends.acks)))
    }

    /// When there were deliveries to any consumer, by partition.
    pub fn deliveries(&self) -> BTreeMap<TopicPartition, Activity> {
        let deliveries = self.consumers.iter().flat_map(|consumer| &consumer.partitions);
        merged(deliveries.map(|(partition, deliveries)| (partition.clone(), &deliveries.times)))
    }

    /// The greatest acknowledged offset by partition: the log must reach past it.
    pub fn last_offsets(&self) -> BTreeMap<TopicPartition, i64> {
        let mut last = BTreeMap::new();
        for (partition, sends) in self.producers.iter().flat_map(|producer| &producer.partitions) {
            if let Some(offset) = sends.tides.iter().map(|tide| tide.high).max() {
                let greatest = last.entry(partition.clone()).or_insert(offset);
                *greatest = offset.max(*greatest);
            }
        }
        last
    }

    /// When sends began that failed or are unknown, by partition.
    pub fn troubled(&self) -> BTreeMap<TopicPartition, Activity> {
        let sends = self.producers.iter().flat_map(|producer| &producer.partitions);
        merged(sends.map(|(partition, sends)| (partition.clone(), &sends.troubled)))
    }

    /// When each generation of the group first gave a member something, by what tells it from others.
    ///
    /// Each member tells of a rebalance; where one does not know its generation, each of its assignments counts. Generations
    /// of one protocol are not those of another, in which a group begins anew.
    pub fn generations(&self) -> BTreeMap<(GroupProtocol, &str, i64), i64> {
        let mut begun: BTreeMap<_, i64> = BTreeMap::new();
        for consumer in &self.consumers {
            let given = consumer.rebalances.iter();
            for one in given.filter(|one| one.kind == RebalanceKind::Assigned) {
                let (of, number) = match one.what.generation {
                    Some(generation) => ("", i64::from(generation)),
                    None => (consumer.header.consumer.as_str(), one.what.at),
                };
                let first = begun
                    .entry((consumer.header.group_protocol, of, number))
                    .or_insert(one.what.at);
                *first = one.what.at.min(*first);
            }
        }
        begun
    }

    /// Consumers by the group that they are members of.
    pub fn groups(&self) -> BTreeMap<&str, Vec<&ConsumerHistory>> {
        let mut groups: BTreeMap<&str, Vec<&ConsumerHistory>> = BTreeMap::new();
        for consumer in &self.consumers {
            groups.entry(&consumer.header.group).or_default().push(consumer);
        }
        groups
    }

    /// Producers that may still have sends in flight that were begun before `cut`: not ended, and not past it. One
    /// that was killed stays among them; its last line is then old.
    pub fn behind(&self, cut: i64) -> impl Iterator<Item = &ProducerHistory> {
        self.producers
            .iter()
            .filter(move |producer| !producer.closed && producer.horizon < cut)
    }
}

/// Merges activities into one.
pub fn overall(partitions: &BTreeMap<TopicPartition, Activity>) -> Activity {
    let mut all = Activity::default();
    partitions.values().for_each(|activity| all.merge(activity));
    all
}

fn merged<'a, K: Ord>(parts: impl Iterator<Item = (K, &'a Activity)>) -> BTreeMap<K, Activity> {
    let mut merged: BTreeMap<K, Activity> = BTreeMap::new();
    for (key, activity) in parts {
        merged.entry(key).or_default().merge(activity);
    }
    merged
}

//! All that is known of messages: what producers were told, what consumers were given, what the log holds.
//!
//! It comes from a run's ledgers and its final read of the log, or from a [history](crate::history) that anyone wrote;
//! the checks of messages judge both alike.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::timeline::event::TopicPartition;
use crate::workload::audit::{LogSummary, PartitionLog};
use crate::workload::ledger::history::{ConsumerHistory, Deliveries, Ledgers, ProducerHistory, Sends};
use crate::workload::placements::{Placed, Placements};
use crate::workload::ranges::Ranges;

/// How many anomalies of a kind are told one by one of a run; all are counted.
const EXAMPLES: usize = 10;

static NO_SENDS: LazyLock<Sends> = LazyLock::new(Sends::default);
static NOWHERE: LazyLock<Placements> = LazyLock::new(Placements::default);

/// All that is known of messages.
#[derive(Debug, Clone, PartialEq)]
pub struct Messages {
    /// What producers were told and consumers were given.
    pub ledgers: Ledgers,
    /// What the log holds.
    pub log: LogSummary,
    /// When the run began, in milliseconds since the Unix epoch; of a history, before everything.
    pub since: i64,
    /// What histories tell and runs do not.
    pub told: Told,
}

/// What a history tells beyond what a run does.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// Which messages polls returned, by partition and producer, in the order of their offsets.
    pub polled: BTreeMap<TopicPartition, BTreeMap<String, Placements>>,
    /// Messages at further offsets in other partitions than their own: the message's own partition, producer and
    /// sequence number, then the other place.
    pub elsewhere: Vec<(TopicPartition, String, u64, TopicPartition, i64)>,
    /// Values, by partition and producer: a sequence number is a place in the list.
    pub values: Option<BTreeMap<(TopicPartition, String), Vec<String>>>,
}

/// One producer's messages in one partition: what it was told, beside what the log holds.
#[derive(Debug)]
pub struct Pair<'a> {
    /// The topic and the partition.
    pub partition: TopicPartition,
    /// The producer's id.
    pub producer: &'a str,
    /// Its ledger, if it has one.
    pub ledger: Option<&'a ProducerHistory>,
    /// What it was told of its sends.
    pub sends: &'a Sends,
    /// The partition's log, if that was read.
    pub log: Option<&'a PartitionLog>,
    /// Where its messages are in the log.
    pub placed: &'a Placements,
    /// Where polls found its messages, where a history tells that.
    pub polled: &'a Placements,
}

/// Acknowledged messages that are not in the log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Missing {
    /// The log was read where they should be.
    pub lost: Ranges,
    /// The log was not read where they should be.
    pub unseen: Ranges,
    /// They were before the log's beginning, from where retention deletes.
    pub deleted: Ranges,
}

impl Messages {
    /// Those of a run that began at `since`: its ledgers, read after its log.
    pub fn of_run(ledgers: Ledgers, log: LogSummary, since: i64) -> Self {
        Self {
            ledgers,
            log,
            since,
            told: Told::default(),
        }
    }

    /// How many anomalies of a kind are told one by one.
    pub fn examples(&self) -> usize {
        if self.told.values.is_some() {
            usize::MAX
        } else {
            EXAMPLES
        }
    }

    /// Every producer and partition that the ledgers or the log know, by partition and producer.
    pub fn pairs(&self) -> Vec<Pair<'_>> {
        let logs: BTreeMap<TopicPartition, &PartitionLog> =
            self.log.partitions.iter().map(|log| (log.key(), log)).collect();
        let ledgers: BTreeMap<&str, &ProducerHistory> = self
            .ledgers
            .producers
            .iter()
            .map(|producer| (producer.header.producer.as_str(), producer))
            .collect();
        let mut all: BTreeSet<(TopicPartition, &str)> = BTreeSet::new();
        for (id, ledger) in &ledgers {
            all.extend(ledger.partitions.keys().map(|partition| (partition.clone(), *id)));
        }
        for log in &self.log.partitions {
            all.extend(log.producers.keys().map(|id| (log.key(), id.as_str())));
        }
        for (partition, producers) in &self.told.polled {
            all.extend(producers.keys().map(|id| (partition.clone(), id.as_str())));
        }
        let mut pairs = Vec::with_capacity(all.len());
        for (partition, producer) in all {
            let ledger = ledgers.get(producer).copied();
            let log = logs.get(&partition).copied();
            let sends = ledger.and_then(|ledger| ledger.partitions.get(&partition));
            let placed = log.and_then(|log| log.producers.get(producer));
            let polled = self.told.polled.get(&partition).and_then(|polled| polled.get(producer));
            pairs.push(Pair {
                partition,
                producer,
                ledger,
                sends: sends.unwrap_or(&NO_SENDS),
                log,
                placed: placed.unwrap_or(&NOWHERE),
                polled: polled.unwrap_or(&NOWHERE),
            });
        }
        pairs
    }

    /// What the members of each group delivered, by group and partition.
    pub fn deliveries(&self) -> BTreeMap<(&str, &TopicPartition), Vec<(&ConsumerHistory, &Deliveries)>> {
        let mut deliveries: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for consumer in &self.ledgers.consumers {
            for (partition, delivered) in &consumer.partitions {
                let key = (consumer.header.group.as_str(), partition);
                deliveries.entry(key).or_default().push((consumer, delivered));
            }
        }
        deliveries
    }

    /// A message's value as its history has it; of a run, where values have more to them, `producer:partition:sequence`.
    pub fn value(&self, partition: &TopicPartition, producer: &str, sequence: u64) -> String {
        let told = self.told.values.as_ref();
        let values = told.and_then(|values| values.get(&(partition.clone(), producer.to_owned())));
        match values.and_then(|values| values.get(sequence as usize)) {
            Some(value) => value.clone(),
            None => format!("{producer}:{}:{sequence}", partition.1),
        }
    }
}

impl Pair<'_> {
    /// What was acknowledged, or polled, and is not in the log.
    pub fn missing(&self) -> Missing {
        let in_log = self.placed.sequences();
        let absent = self.sends.acked.without(&in_log);
        let mut missing = Missing::default();
        let mut told = Ranges::default();
        for part in self.sends.placed.within(&absent) {
            told.insert_range(part.sequences());
            self.sort(part, &mut missing);
        }
        let untold = absent.without(&told);
        if !untold.is_empty() {
            self.sort_by_place(&untold, &in_log, &mut missing);
        }
        // What was polled once was in the log.
        let vanished = self.polled.sequences().without(&in_log);
        for part in self.polled.within(&vanished) {
            let mut of_polls = Missing::default();
            self.sort(part, &mut of_polls);
            missing.lost.extend(&of_polls.lost);
        }
        missing
    }

    /// By the offsets where they should be.
    fn sort(&self, part: Placed, missing: &mut Missing) {
        let Some(log) = self.log else {
            missing.unseen.insert_range(part.sequences());
            return;
        };
        let mut offsets = Ranges::default();
        offsets.insert_range(part.offsets());
        let mut before = Ranges::default();
        before.insert_range(0..log.begin.max(0) as u64);
        let back = |offsets: Ranges| offsets.iter().map(|range| part.at(range)).collect::<Ranges>();
        let behind = offsets.without(&before);
        missing.deleted.extend(&back(offsets.within(&before)));
        let mut read = log.covered.clone();
        if log.is_whole() {
            // Its end was asked for after they were acknowledged, and is no longer where it was.
            read.insert_range(log.end.max(0) as u64..u64::MAX);
        }
        missing.lost.extend(&back(behind.within(&read)));
        missing.unseen.extend(&back(behind.without(&read)));
    }

    /// Without their offsets: retention deletes from the beginning, so what it took is what comes before the producer's
    /// first message in the log.
    fn sort_by_place(&self, absent: &Ranges, in_log: &Ranges, missing: &mut Missing) {
        let Some(log) = self.log.filter(|log| log.is_whole()) else {
            missing.unseen.extend(absent);
            return;
        };
        let mut deleted = Ranges::default();
        if log.begin > 0 {
            let first = in_log.iter().next().map_or(u64::MAX, |range| range.start);
            deleted.insert_range(0..first);
        }
        missing.deleted.extend(&absent.within(&deleted));
        missing.lost.extend(&absent.without(&deleted));
    }
}

/// Something that must not be, or is worth knowing, with what is needed to find it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Anomaly {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// What else is needed to find it, by name.
    #[serde(flatten)]
    pub details: Map<String, Value>,
}

impl Anomaly {
    /// One in a partition.
    pub fn at(partition: &TopicPartition) -> Self {
        Self {
            topic: partition.0.clone(),
            partition: partition.1,
            details: Map::new(),
        }
    }

    /// Adds what is needed to find it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.into(), value.into());
        self
    }
}

/// Anomalies of one kind: all are counted, and not more than asked for are told one by one.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub anomalies: Vec<Anomaly>,
    most: usize,
}

impl Found {
    /// None yet, in these messages.
    pub fn none(messages: &Messages) -> Self {
        Self {
            count: 0,
            anomalies: Vec::new(),
            most: messages.examples(),
        }
    }

    /// How many more are told one by one.
    pub fn room(&self) -> usize {
        self.most - self.anomalies.len()
    }

    /// Adds as many, told as one.
    pub fn add_many(&mut self, count: u64, anomaly: impl FnOnce() -> Anomaly) {
        self.count = self.count.saturating_add(count - 1);
        self.add(anomaly);
    }

    /// Adds one.
    pub fn add(&mut self, anomaly: impl FnOnce() -> Anomaly) {
        self.count = self.count.saturating_add(1);
        if self.anomalies.len() < self.most {
            self.anomalies.push(anomaly());
        }
    }

    /// Adds one for each message of a run, with where it is.
    pub fn add_placed(&mut self, messages: &Messages, pair: &Pair<'_>, run: Placed) {
        self.add_each(run.sequences(), |sequence| {
            Anomaly::at(&pair.partition)
                .with("value", messages.value(&pair.partition, pair.producer, sequence))
                .with("offset", run.offset_of(sequence))
        });
    }

    /// Adds one for each of these messages, with the offset where it was said to be, if any.
    pub fn add_messages(&mut self, messages: &Messages, pair: &Pair<'_>, sequences: &Ranges) {
        let mut rest = sequences.clone();
        for said in [&pair.sends.placed, pair.polled] {
            for part in said.within(&rest) {
                // A poll may have found it more than once.
                let new = rest.within_range(part.sequences());
                for range in new.iter() {
                    rest.remove_range(range.clone());
                    part.part(range)
                        .into_iter()
                        .for_each(|run| self.add_placed(messages, pair, run));
                }
            }
        }
        let anomaly = |sequence: u64| {
            let value = messages.value(&pair.partition, pair.producer, sequence);
            Anomaly::at(&pair.partition).with("value", value)
        };
        rest.iter().for_each(|range| self.add_each(range, anomaly));
    }

    /// Adds one for each number of a range.
    pub fn add_each(&mut self, numbers: std::ops::Range<u64>, anomaly: impl Fn(u64) -> Anomaly) {
        let room = self.room();
        self.count = self.count.saturating_add(numbers.end - numbers.start);
        self.anomalies.extend(numbers.take(room).map(anomaly));
    }
}

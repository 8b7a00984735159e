//! A history as [`Messages`]: values become sequence numbers, in the order in which their process sent them, and times
//! become places in one order of all events.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::history::clock::Clock;
use crate::history::identities::{Identities, STRAYS};
use crate::history::line::Outcome;
use crate::history::members::consumers;
use crate::history::operations::{Id, Operations, Place, Sent};
use crate::timeline::event::TopicPartition;
use crate::verdicts::messages::{Messages, Told};
use crate::workload::audit::{self, LogSummary, PartitionLog};
use crate::workload::ledger::history::{Ledgers, ProducerHistory, Sends, Tide};
use crate::workload::ledger::{self, ProducerHeader};
use crate::workload::placements::Placements;

impl Operations {
    /// All that the operations tell.
    pub(super) fn messages(mut self) -> Messages {
        self.settle();
        let clock = Clock::of(&self);
        let identities = Identities::of(&self);
        let (log, polled) = self.log(&identities);
        let consumers = consumers(&self, &clock);
        let producers = self.producers(&clock, &identities);
        let Self { names, .. } = self;
        let values = |list: &Vec<Id>| list.iter().map(|id| names.text(*id).to_owned()).collect();
        let told = Told {
            polled,
            elsewhere: identities.elsewhere(&names),
            values: Some(
                identities
                    .values
                    .iter()
                    .map(|((place, producer), list)| {
                        (
                            (names.partition(*place), identities.producer(*producer, &names)),
                            values(list),
                        )
                    })
                    .collect(),
            ),
        };
        Messages {
            ledgers: Ledgers { producers, consumers },
            log,
            since: i64::MIN,
            told,
        }
    }

    /// The log, and what polls found of partitions that have a final read besides.
    fn log(&self, identities: &Identities) -> (LogSummary, BTreeMap<TopicPartition, BTreeMap<String, Placements>>) {
        let mut log = LogSummary {
            schema: audit::SCHEMA,
            ..LogSummary::default()
        };
        let mut polled = BTreeMap::new();
        let places: BTreeSet<Place> = self.polled.keys().chain(self.reads.keys()).copied().collect();
        for place in places {
            let (topic, partition) = self.names.partition(place);
            let mut of = PartitionLog {
                topic,
                partition,
                // Nobody says where it ends: what was acknowledged beyond is unseen.
                end: i64::MAX,
                ..PartitionLog::default()
            };
            let none = Vec::new();
            let polls = self.polled.get(&place).unwrap_or(&none);
            let records = match self.reads.get(&place) {
                Some(read) => {
                    of.begin = read.extents.iter().map(|(from, _)| *from).min().unwrap_or(0);
                    for (from, to) in &read.extents {
                        of.covered.insert_range(*from as u64..*to as u64);
                    }
                    polled.insert(of.key(), self.placements(identities, place, polls));
                    &read.records
                }
                None => {
                    let end = polls.last().map_or(0, |(offset, _)| offset + 1);
                    of.covered.insert_range(0..end as u64);
                    polls
                }
            };
            of.records = records.len() as u64;
            records.iter().for_each(|(offset, _)| of.offsets.insert(*offset as u64));
            of.producers = self.placements(identities, place, records);
            log.partitions.push(of);
        }
        (log, polled)
    }

    fn placements(&self, identities: &Identities, place: Place, records: &[(i64, Id)]) -> BTreeMap<String, Placements> {
        let mut placements: BTreeMap<Option<Id>, Placements> = BTreeMap::new();
        for (offset, value) in records {
            // One that has its place in another partition stands there, among those that are elsewhere too.
            if let Some((producer, sequence)) = identities.of.get(&(place, *value)) {
                placements.entry(*producer).or_default().push(*sequence, *offset);
            }
        }
        placements
            .into_iter()
            .map(|(producer, placed)| (identities.producer(producer, &self.names), placed))
            .collect()
    }

    fn producers(&self, clock: &Clock, identities: &Identities) -> Vec<ProducerHistory> {
        let mut producers: BTreeMap<Option<Id>, BTreeMap<TopicPartition, Sends>> = BTreeMap::new();
        // Whatever nobody sent is this one's, who sent nothing.
        producers.insert(None, BTreeMap::new());
        for ((place, producer), values) in &identities.values {
            if producer.is_none() {
                continue;
            }
            let mut sends = Sends {
                reserved: values.len() as u64,
                ..Sends::default()
            };
            for (sequence, value) in values.iter().enumerate() {
                // Strays were sent, but not here.
                let send = self
                    .by_value
                    .get(&(place.0, *value))
                    .filter(|_| *producer != Some(STRAYS));
                let Some(send) = send.copied() else {
                    continue;
                };
                sends.add(&self.sends[send], sequence as u64, clock.sends[send]);
            }
            let partitions = producers.entry(*producer).or_default();
            partitions.insert(self.names.partition(*place), sends);
        }
        let history = |(producer, partitions)| ProducerHistory {
            header: ProducerHeader {
                schema: ledger::SCHEMA,
                producer: identities.producer(producer, &self.names),
                host: String::new(),
                started: 0,
                acks: String::new(),
                idempotent: false,
                topics: Vec::new(),
            },
            partitions,
            latency: BTreeMap::new(),
            horizon: 0,
            last: 0,
            closed: false,
            notes: Vec::new(),
        };
        producers.into_iter().map(history).collect()
    }
}

impl Sends {
    fn add(&mut self, send: &Sent, sequence: u64, (begun, at): (i64, i64)) {
        match send.outcome {
            Outcome::Ok => self.acked.insert(sequence),
            Outcome::Fail => self.failed.insert(sequence),
            Outcome::Unknown => self.unknown.insert(sequence),
        }
        if let Some(offset) = send.offset {
            self.placed.push(sequence, offset);
            self.tides.push(Tide {
                begun,
                at,
                low: offset,
                high: offset,
                lowest: sequence,
            });
        }
    }
}

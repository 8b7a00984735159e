//! Who sent which value of a history, and as which of its messages to which partition.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::history::line::Outcome;
use crate::history::operations::{Id, Names, Operations, Place};
use crate::timeline::event::TopicPartition;

/// Whoever has what is acknowledged in another partition, and is not there.
pub(super) const STRAYS: Id = Id::MAX;

/// Who sent which value, and as which of its messages to which partition.
#[derive(Debug, Default)]
pub(super) struct Identities {
    /// By partition and value, the producer and the sequence number. What nobody sent there is nobody's.
    pub(super) of: HashMap<(Place, Id), (Option<Id>, u64)>,
    /// By partition and producer, the values in the order of their sequence numbers.
    pub(super) values: BTreeMap<(Place, Option<Id>), Vec<Id>>,
    /// Values at further places than in their own partition: that partition, and the other place.
    elsewhere: Vec<(Id, Place, Place, i64)>,
    /// The name of nobody, which no process has.
    nobody: String,
    /// The name of whoever has what is acknowledged in another partition, and is not there.
    strays: String,
}

impl Identities {
    pub(super) fn of(operations: &Operations) -> Self {
        let mut identities = Self {
            nobody: "nobody".into(),
            strays: "elsewhere".into(),
            ..Self::default()
        };
        while operations.names.holds(&identities.nobody) || operations.names.holds(&identities.strays) {
            identities.nobody.push('_');
            identities.strays.push('_');
        }
        identities.sent(operations);
        identities.rest(operations);
        identities
    }

    /// What was sent: to the partition that the send tells, or else to the first in which it was found.
    fn sent(&mut self, operations: &Operations) {
        let mut found: HashMap<(Id, Id), Place> = HashMap::new();
        // The log goes before polls of what is no longer in it.
        for (place, records) in log(operations).chain(&operations.polled) {
            for (_, value) in records {
                found.entry((place.0, *value)).or_insert(*place);
            }
        }
        let mut order: Vec<usize> = (0..operations.sends.len()).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&operations.sends[*a], &operations.sends[*b]);
            a.start.total_cmp(&b.start).then(a.line.cmp(&b.line))
        });
        for send in order.into_iter().map(|index| &operations.sends[index]) {
            let told = send.partition.map(|partition| (send.topic, partition));
            let found = found.get(&(send.topic, send.value)).copied();
            let place = match send.outcome {
                // That it is acknowledged there is what is judged.
                Outcome::Ok => told,
                // One that is nowhere, and was sent to no partition in particular, tells nothing.
                Outcome::Fail | Outcome::Unknown => match (told, found) {
                    (Some(told), Some(found)) if told != found && !holds(operations, told, send.value) => Some(found),
                    _ => told.or(found),
                },
            };
            if let Some(place) = place {
                self.add(place, send.value, Some(send.process));
            }
        }
    }

    /// What is where nobody sent it. If it is in its own partition's log too, it is elsewhere as well; otherwise it is
    /// nobody's.
    fn rest(&mut self, operations: &Operations) {
        let mut rest: Vec<(Place, i64, Id)> = Vec::new();
        for (place, records) in log(operations).chain(&operations.polled) {
            let strays = records
                .iter()
                .filter(|(_, value)| !self.of.contains_key(&(*place, *value)));
            rest.extend(strays.map(|(offset, value)| (*place, *offset, *value)));
        }
        rest.sort();
        rest.dedup();
        let wanted: HashSet<(Id, Id)> = rest.iter().map(|(place, _, value)| (place.0, *value)).collect();
        let mut own: HashMap<(Id, Id), Place> = HashMap::new();
        for (place, records) in log(operations).filter(|_| !wanted.is_empty()) {
            let here = records.iter().map(|(_, value)| *value);
            let here =
                here.filter(|value| wanted.contains(&(place.0, *value)) && self.of.contains_key(&(*place, *value)));
            own.extend(here.map(|value| ((place.0, value), *place)));
        }
        for (place, offset, value) in rest {
            if self.of.contains_key(&(place, value)) {
                continue;
            }
            match own.get(&(place.0, value)) {
                Some(home) => self.elsewhere.push((value, *home, place, offset)),
                // Somebody sent it to this topic, and it is lost where it was acknowledged: it is no phantom here.
                None if operations.by_value.contains_key(&(place.0, value)) => {
                    self.add(place, value, Some(STRAYS));
                    own.insert((place.0, value), place);
                }
                None => {
                    self.add(place, value, None);
                    own.insert((place.0, value), place);
                }
            }
        }
    }

    fn add(&mut self, place: Place, value: Id, producer: Option<Id>) {
        let values = self.values.entry((place, producer)).or_default();
        self.of.insert((place, value), (producer, values.len() as u64));
        values.push(value);
    }

    pub(super) fn producer(&self, producer: Option<Id>, names: &Names) -> String {
        match producer {
            None => self.nobody.clone(),
            Some(STRAYS) => self.strays.clone(),
            Some(id) => names.text(id).to_owned(),
        }
    }

    pub(super) fn elsewhere(&self, names: &Names) -> Vec<(TopicPartition, String, u64, TopicPartition, i64)> {
        let told = self.elsewhere.iter().filter_map(|(value, home, place, offset)| {
            let (producer, sequence) = self.of.get(&(*home, *value))?;
            let producer = self.producer(*producer, names);
            Some((
                names.partition(*home),
                producer,
                *sequence,
                names.partition(*place),
                *offset,
            ))
        });
        told.collect()
    }
}

/// Whether a partition's log, or what polls found of it, holds a value. Asked only of sends that were not acknowledged.
fn holds(operations: &Operations, place: Place, value: Id) -> bool {
    let read = operations.reads.get(&place).map(|read| &read.records);
    let polled = operations.polled.get(&place);
    read.into_iter()
        .chain(polled)
        .flatten()
        .any(|(_, other)| *other == value)
}

/// The records of each partition's log: those of its final reads, or else those of polls.
fn log(operations: &Operations) -> impl Iterator<Item = (&Place, &Vec<(i64, Id)>)> {
    let read = operations.reads.iter().map(|(place, read)| (place, &read.records));
    let unread = operations
        .polled
        .iter()
        .filter(|(place, _)| !operations.reads.contains_key(place));
    read.chain(unread)
}

//! A history as [`Messages`]: values become sequence numbers, in the order in which their process sent them, and times
//! become places in one order of all events, in which ties keep the file's order.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::history::line::{Line, Offset, Outcome, Send};
use crate::timeline::event::TopicPartition;
use crate::verdicts::messages::{Messages, Told};
use crate::workload::audit::{self, LogSummary, PartitionLog};
use crate::workload::ledger::history::{
    ConsumerHistory, Deliveries, Jump, Ledgers, Overcommit, ProducerHistory, Sends, Tenure, Tide,
};
use crate::workload::ledger::{self, ConsumerHeader, ProducerHeader};
use crate::workload::placements::Placements;

/// A text, by its place in a list.
type Id = usize;

/// All operations of a history.
#[derive(Debug, Default)]
pub(super) struct History {
    names: Names,
    sends: Vec<Sent>,
    /// By topic and value, its send.
    by_value: HashMap<(Id, Id), usize>,
    /// What happened to members, by when, in the order of the file.
    events: Vec<(f64, usize, MemberEvent)>,
    polled: BTreeMap<Place, BTreeSet<(i64, Id)>>,
    reads: BTreeMap<Place, FinalRead>,
}

/// A topic and a partition.
type Place = (Id, i32);

/// Texts, each kept once.
#[derive(Debug, Default)]
struct Names {
    ids: HashMap<String, Id>,
    texts: Vec<String>,
}

impl Names {
    fn id(&mut self, text: String) -> Id {
        if let Some(id) = self.ids.get(&text) {
            return *id;
        }
        let id = self.texts.len();
        self.texts.push(text.clone());
        self.ids.insert(text, id);
        id
    }

    fn text(&self, id: Id) -> String {
        self.texts[id].clone()
    }

    fn partition(&self, (topic, partition): Place) -> TopicPartition {
        (self.text(topic), partition)
    }
}

#[derive(Debug)]
struct Sent {
    line: usize,
    process: Id,
    topic: Id,
    partition: Option<i32>,
    value: Id,
    outcome: Outcome,
    // Where it was acknowledged to be.
    offset: Option<i64>,
    start: f64,
    end: f64,
}

#[derive(Debug)]
struct MemberEvent {
    process: Id,
    what: What,
}

#[derive(Debug)]
enum What {
    Delivered(Vec<(Place, i64)>),
    Assigned(Vec<Place>),
    Revoked(Vec<Place>),
    Committed(Vec<(Place, i64)>),
}

#[derive(Debug, Default)]
struct FinalRead {
    extents: Vec<(i64, i64)>,
    records: BTreeSet<(i64, Id)>,
}

impl History {
    /// Adds the operation of a line.
    ///
    /// # Errors
    /// When it contradicts itself, or what came before it.
    pub(super) fn add(&mut self, line: Line, number: usize) -> Result<(), String> {
        match line {
            Line::Send(send) => self.send(send, number),
            Line::Poll {
                process,
                start,
                end,
                records,
            } => {
                in_order(start, end)?;
                let mut delivered = Vec::with_capacity(records.len());
                for record in records {
                    let place = (self.names.id(record.topic), record.partition.0);
                    let value = self.names.id(record.value.0);
                    self.polled.entry(place).or_default().insert((record.offset.0, value));
                    delivered.push((place, record.offset.0));
                }
                self.happened(end, number, process.0, What::Delivered(delivered));
                Ok(())
            }
            Line::Assign(rebalance) => {
                let places = self.places(rebalance.partitions);
                self.happened(rebalance.at, number, rebalance.process.0, What::Assigned(places));
                Ok(())
            }
            Line::Revoke(rebalance) => {
                let places = self.places(rebalance.partitions);
                self.happened(rebalance.at, number, rebalance.process.0, What::Revoked(places));
                Ok(())
            }
            Line::Commit { process, at, offsets } => {
                let offsets = offsets
                    .into_iter()
                    .map(|(topic, partition, offset)| ((self.names.id(topic), partition.0), offset.0))
                    .collect();
                self.happened(at, number, process.0, What::Committed(offsets));
                Ok(())
            }
            Line::Read {
                topic,
                partition,
                from: Offset(from),
                to: Offset(to),
                records,
            } => {
                if from > to {
                    return Err(format!("it reads from {from} to {to}, which is before that"));
                }
                let place = (self.names.id(topic), partition.0);
                let read = self.reads.entry(place).or_default();
                read.extents.push((from, to));
                for record in records {
                    let offset = record.offset.0;
                    if !(from..to).contains(&offset) {
                        return Err(format!("it read from {from} to {to}, but holds a record at {offset}"));
                    }
                    read.records.insert((offset, self.names.id(record.value.0)));
                }
                Ok(())
            }
        }
    }

    fn send(&mut self, send: Send, line: usize) -> Result<(), String> {
        in_order(send.start, send.end)?;
        let offset = match (send.result, send.offset, send.partition) {
            (Outcome::Ok, None, _) => return Err("a send that is ok needs its offset".into()),
            (Outcome::Ok, _, None) => return Err("a send that is ok needs its partition".into()),
            (Outcome::Ok, Some(offset), _) => Some(Offset::of(offset)?.0),
            // Some clients tell −1 for none.
            (Outcome::Fail | Outcome::Unknown, ..) => None,
        };
        let topic = self.names.id(send.topic);
        let value = self.names.id(send.value.0);
        if let Some(before) = self.by_value.insert((topic, value), self.sends.len()) {
            let (value, topic, before) = (&self.names.texts[value], &self.names.texts[topic], &self.sends[before]);
            return Err(format!(
                "value `{value}` was sent to topic `{topic}` before, in line {}; values have to be unique in a topic",
                before.line
            ));
        }
        self.sends.push(Sent {
            line,
            process: self.names.id(send.process.0),
            topic,
            partition: send.partition.map(|partition| partition.0),
            value,
            outcome: send.result,
            offset,
            start: send.start,
            end: send.end,
        });
        Ok(())
    }

    fn places(&mut self, partitions: Vec<(String, crate::history::line::Partition)>) -> Vec<Place> {
        let place = |(topic, partition): (String, crate::history::line::Partition)| (self.names.id(topic), partition.0);
        partitions.into_iter().map(place).collect()
    }

    fn happened(&mut self, at: f64, line: usize, process: String, what: What) {
        let process = self.names.id(process);
        self.events.push((at, line, MemberEvent { process, what }));
    }

    /// All that the operations tell.
    pub(super) fn messages(mut self) -> Messages {
        let clock = Clock::of(&self);
        let identities = Identities::of(&self);
        let (log, polled) = self.log(&identities);
        let consumers = self.consumers(&clock);
        let producers = self.producers(&clock, &identities);
        let Self { names, .. } = self;
        let values = |list: &Vec<Id>| list.iter().map(|id| names.text(*id)).collect();
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
            let none = BTreeSet::new();
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

    fn placements(
        &self,
        identities: &Identities,
        place: Place,
        records: &BTreeSet<(i64, Id)>,
    ) -> BTreeMap<String, Placements> {
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
                let Some(send) = self.by_value.get(&(place.0, *value)).copied() else {
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

    fn consumers(&mut self, clock: &Clock) -> Vec<ConsumerHistory> {
        let mut members: BTreeMap<Id, Member> = BTreeMap::new();
        // By partition, the offset after the last that any member had by then.
        let mut processed: BTreeMap<Place, i64> = BTreeMap::new();
        for (at, index) in clock.members.iter().copied() {
            let event = &self.events[index].2;
            let member = members.entry(event.process).or_default();
            match &event.what {
                What::Assigned(places) => places.iter().for_each(|place| member.assigned(*place, at)),
                What::Revoked(places) => places.iter().for_each(|place| {
                    member.positions.remove(place);
                }),
                What::Delivered(records) => {
                    for (place, offset) in records {
                        member.delivered(*place, *offset, at);
                        let last = processed.entry(*place).or_default();
                        *last = (*last).max(offset + 1);
                    }
                }
                What::Committed(offsets) => {
                    for (place, offset) in offsets {
                        let processed = processed.get(place).copied().unwrap_or(0);
                        member.committed(*place, *offset, processed, at);
                    }
                }
            }
        }
        let history = |(process, member): (Id, Member)| ConsumerHistory {
            header: ConsumerHeader {
                schema: ledger::SCHEMA,
                consumer: self.names.text(process),
                host: String::new(),
                started: 0,
                group: String::new(),
                instance: None,
                assignment: String::new(),
                topics: Vec::new(),
            },
            partitions: member
                .partitions
                .into_iter()
                .map(|(place, deliveries)| (self.names.partition(place), deliveries))
                .collect(),
            rebalances: Vec::new(),
            latency: BTreeMap::new(),
            last: 0,
            closed: false,
            notes: Vec::new(),
        };
        members.into_iter().map(history).collect()
    }
}

fn in_order(start: f64, end: f64) -> Result<(), String> {
    if start <= end {
        Ok(())
    } else {
        Err(format!("it ends at {end}, before it starts at {start}"))
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

/// One member's deliveries in the making.
#[derive(Debug, Default)]
struct Member {
    // The last offset of each partition, since it was assigned.
    positions: BTreeMap<Place, i64>,
    partitions: BTreeMap<Place, Deliveries>,
}

impl Member {
    fn assigned(&mut self, place: Place, at: i64) {
        self.positions.remove(&place);
        let deliveries = self.partitions.entry(place).or_default();
        deliveries.tenures.push(Tenure {
            since: at,
            until: at,
            ..Tenure::default()
        });
    }

    fn delivered(&mut self, place: Place, offset: i64, at: i64) {
        let deliveries = self.partitions.entry(place).or_default();
        if let Some(from) = self.positions.insert(place, offset).filter(|from| from + 1 != offset) {
            deliveries.jumps.push(Jump { from, to: offset, at });
        }
        if deliveries.tenures.is_empty() {
            deliveries.tenures.push(Tenure {
                since: at,
                ..Tenure::default()
            });
        }
        if let Some(tenure) = deliveries.tenures.last_mut() {
            tenure.offsets.insert(offset as u64);
            tenure.count += 1;
            tenure.until = at;
        }
    }

    fn committed(&mut self, place: Place, offset: i64, processed: i64, at: i64) {
        let deliveries = self.partitions.entry(place).or_default();
        deliveries.committed = Some(offset);
        if offset > processed {
            deliveries.overcommits.push(Overcommit { at, offset, processed });
        }
    }
}

/// One order of all events: their places in it stand for their times.
struct Clock {
    /// Begin and end of each send.
    sends: Vec<(i64, i64)>,
    /// Events of members, in order: the place, and which it is.
    members: Vec<(i64, usize)>,
}

impl Clock {
    fn of(history: &History) -> Self {
        #[derive(Clone, Copy)]
        enum Of {
            Begin(usize),
            End(usize),
            Member(usize),
        }
        let begins = history
            .sends
            .iter()
            .enumerate()
            .map(|(index, send)| (send.start, send.line, Of::Begin(index)));
        let ends = history
            .sends
            .iter()
            .enumerate()
            .map(|(index, send)| (send.end, send.line, Of::End(index)));
        let members = history
            .events
            .iter()
            .enumerate()
            .map(|(index, (at, line, _))| (*at, *line, Of::Member(index)));
        // A send that takes no time begins before it ends: the sort is stable.
        let mut all: Vec<(f64, usize, Of)> = begins.chain(ends).chain(members).collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut clock = Self {
            sends: vec![(0, 0); history.sends.len()],
            members: Vec::with_capacity(history.events.len()),
        };
        for (place, (_, _, of)) in all.into_iter().enumerate() {
            let place = place as i64;
            match of {
                Of::Begin(index) => clock.sends[index].0 = place,
                Of::End(index) => clock.sends[index].1 = place,
                Of::Member(index) => clock.members.push((place, index)),
            }
        }
        clock
    }
}

/// Who sent which value, and as which of its messages to which partition.
#[derive(Debug, Default)]
struct Identities {
    /// By partition and value, the producer and the sequence number. What nobody sent there is nobody's.
    of: HashMap<(Place, Id), (Option<Id>, u64)>,
    /// By partition and producer, the values in the order of their sequence numbers.
    values: BTreeMap<(Place, Option<Id>), Vec<Id>>,
    /// Values at further places than in their own partition: that partition, and the other place.
    elsewhere: Vec<(Id, Place, Place, i64)>,
    /// The name of nobody, which no process has.
    nobody: String,
}

impl Identities {
    fn of(history: &History) -> Self {
        let mut identities = Self {
            nobody: "nobody".into(),
            ..Self::default()
        };
        while history.names.ids.contains_key(&identities.nobody) {
            identities.nobody.push('_');
        }
        // By topic and value, where it is in the log, and where polls found it.
        let mut places: HashMap<(Id, Id), Vec<(Place, i64)>> = HashMap::new();
        let read = history.reads.iter().map(|(place, read)| (place, &read.records));
        let polled = history
            .polled
            .iter()
            .filter(|(place, _)| !history.reads.contains_key(place));
        for (place, records) in read.chain(polled) {
            for (offset, value) in records {
                places.entry((place.0, *value)).or_default().push((*place, *offset));
            }
        }
        let mut seen: HashMap<(Id, Id), Vec<Place>> = HashMap::new();
        for (place, records) in &history.polled {
            for (_, value) in records {
                seen.entry((place.0, *value)).or_default().push(*place);
            }
        }
        let mut order: Vec<usize> = (0..history.sends.len()).collect();
        order.sort_by(|a, b| {
            let (a, b) = (&history.sends[*a], &history.sends[*b]);
            a.start.total_cmp(&b.start).then(a.line.cmp(&b.line))
        });
        for send in order.into_iter().map(|index| &history.sends[index]) {
            let key = (send.topic, send.value);
            let in_log = places
                .get(&key)
                .and_then(|places| places.iter().map(|(place, _)| *place).min());
            let in_polls = seen.get(&key).and_then(|places| places.iter().min().copied());
            let told = send.partition.map(|partition| (send.topic, partition));
            // One that was sent to no partition in particular, and is nowhere, tells nothing.
            if let Some(home) = told.or(in_log).or(in_polls) {
                identities.add(home, send.value, Some(send.process));
            }
        }
        // What is where nobody sent it, in the order of offsets.
        let mut rest: Vec<(Place, i64, Id)> = Vec::new();
        for ((_, value), places) in &places {
            rest.extend(places.iter().map(|(place, offset)| (*place, *offset, *value)));
        }
        for (place, records) in &history.polled {
            rest.extend(records.iter().map(|(offset, value)| (*place, *offset, *value)));
        }
        rest.sort_unstable();
        rest.dedup();
        for (place, offset, value) in rest {
            if identities.of.contains_key(&(place, value)) {
                continue;
            }
            let known = places.get(&(place.0, value)).into_iter().flatten();
            let own = known
                .map(|(other, _)| *other)
                .find(|other| *other != place && identities.of.contains_key(&(*other, value)));
            match own {
                Some(home) => identities.elsewhere.push((value, home, place, offset)),
                None => identities.add(place, value, None),
            }
        }
        identities
    }

    fn add(&mut self, place: Place, value: Id, producer: Option<Id>) {
        let values = self.values.entry((place, producer)).or_default();
        self.of.insert((place, value), (producer, values.len() as u64));
        values.push(value);
    }

    fn producer(&self, producer: Option<Id>, names: &Names) -> String {
        producer.map_or_else(|| self.nobody.clone(), |id| names.text(id))
    }

    fn elsewhere(&self, names: &Names) -> Vec<(TopicPartition, String, u64, TopicPartition, i64)> {
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

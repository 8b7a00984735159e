//! The operations of a history, as they are added line by line.

use std::collections::{BTreeMap, HashMap};

use indexmap::IndexSet;

use crate::history::line::{Line, Offset, Outcome, Partition, Read, Send};
use crate::timeline::event::TopicPartition;

/// A text, by its place in a list.
pub(super) type Id = usize;

/// A topic and a partition.
pub(super) type Place = (Id, i32);

/// All operations of a history.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// Names and values.
    pub(super) names: Names,
    /// What was sent, in the order of the file.
    pub(super) sends: Vec<Sent>,
    /// By topic and value, which of these it is.
    pub(super) by_value: HashMap<(Id, Id), usize>,
    /// What happened to members: when, in which line, and what.
    pub(super) events: Vec<(f64, usize, MemberEvent)>,
    /// The records that polls returned, as offset and value: sorted, and each once, after [`settle`](Self::settle).
    pub(super) polled: BTreeMap<Place, Vec<(i64, Id)>>,
    /// The final reads.
    pub(super) reads: BTreeMap<Place, FinalRead>,
}

/// Texts, each kept once.
#[derive(Debug, Default)]
pub(super) struct Names(IndexSet<String>);

impl Names {
    pub(super) fn id(&mut self, text: String) -> Id {
        self.0.insert_full(text).0
    }

    pub(super) fn text(&self, id: Id) -> &str {
        self.0.get_index(id).map_or("", String::as_str)
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    pub(super) fn partition(&self, (topic, partition): Place) -> TopicPartition {
        (self.text(topic).to_owned(), partition)
    }
}

/// A message that was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) line: usize,
    pub(super) process: Id,
    pub(super) topic: Id,
    pub(super) partition: Option<i32>,
    pub(super) value: Id,
    pub(super) outcome: Outcome,
    /// Where it was acknowledged to be.
    pub(super) offset: Option<i64>,
    pub(super) start: f64,
    pub(super) end: f64,
}

/// Something that happened to a member.
#[derive(Debug)]
pub(super) struct MemberEvent {
    pub(super) process: Id,
    pub(super) what: What,
}

/// What happened to a member.
#[derive(Debug)]
pub(super) enum What {
    Delivered(Vec<(Place, i64)>),
    Assigned(Vec<Place>),
    Revoked(Vec<Place>),
    Committed(Vec<(Place, i64)>),
}

/// What was finally read of a partition.
#[derive(Debug, Default)]
pub(super) struct FinalRead {
    /// From which offset up to before which.
    pub(super) extents: Vec<(i64, i64)>,
    /// Offset and value: sorted, and each once, after [`Operations::settle`].
    pub(super) records: Vec<(i64, Id)>,
}

impl Operations {
    /// Adds the operation of a line.
    ///
    /// # Errors
    /// When it contradicts itself, or what came before it.
    pub(super) fn add(&mut self, line: Line, number: usize) -> Result<(), String> {
        match line {
            Line::Send(send) => self.send(send, number),
            Line::Poll(poll) => {
                in_order(poll.start, poll.end)?;
                let mut delivered = Vec::with_capacity(poll.records.len());
                for record in poll.records {
                    let place = (self.names.id(record.topic), record.partition.0);
                    let value = self.names.id(record.value.0);
                    self.polled.entry(place).or_default().push((record.offset.0, value));
                    delivered.push((place, record.offset.0));
                }
                self.happened(poll.end, number, poll.process.0, What::Delivered(delivered));
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
            Line::Commit(commit) => {
                let offsets = commit
                    .offsets
                    .into_iter()
                    .map(|(topic, partition, offset)| ((self.names.id(topic), partition.0), offset.0))
                    .collect();
                self.happened(commit.at, number, commit.process.0, What::Committed(offsets));
                Ok(())
            }
            Line::Read(read) => self.read(read),
        }
    }

    fn read(&mut self, read: Read) -> Result<(), String> {
        let (from, to) = (read.from.0, read.to.0);
        if from > to {
            return Err(format!("it reads from {from} to {to}, which is before that"));
        }
        let place = (self.names.id(read.topic), read.partition.0);
        let of_place = self.reads.entry(place).or_default();
        of_place.extents.push((from, to));
        for record in read.records {
            let offset = record.offset.0;
            if !(from..to).contains(&offset) {
                return Err(format!("it read from {from} to {to}, but holds a record at {offset}"));
            }
            of_place.records.push((offset, self.names.id(record.value.0)));
        }
        Ok(())
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
            let (value, topic, before) = (self.names.text(value), self.names.text(topic), &self.sends[before]);
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

    fn places(&mut self, partitions: Vec<(String, Partition)>) -> Vec<Place> {
        let place = |(topic, partition): (String, Partition)| (self.names.id(topic), partition.0);
        partitions.into_iter().map(place).collect()
    }

    fn happened(&mut self, at: f64, line: usize, process: String, what: What) {
        let process = self.names.id(process);
        self.events.push((at, line, MemberEvent { process, what }));
    }

    /// Sorts what can be told in any order. To be called once, when all is added.
    pub(super) fn settle(&mut self) {
        let reads = self.reads.values_mut().map(|read| &mut read.records);
        for records in self.polled.values_mut().chain(reads) {
            records.sort();
            records.dedup();
        }
    }
}

fn in_order(start: f64, end: f64) -> Result<(), String> {
    if start <= end {
        Ok(())
    } else {
        Err(format!("it ends at {end}, before it starts at {start}"))
    }
}

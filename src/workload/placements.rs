//! Which message lies at which offset: runs in which sequence number and offset grow together.
//!
//! Ledgers say where brokers claimed to have put messages, the log says where they are: both are [`Placements`].
//! They are kept as differences in variable-length numbers, and like differences in a row are counted. A run costs two
//! bytes where producers take turns at random, so ten million messages of two producers of which each next one is
//! anyone's are 10 MB; where they take turns evenly, or one is alone, they are a few bytes.

use std::borrow::Cow;

use integer_encoding::VarInt;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::workload::ranges::Ranges;

/// A run of messages at consecutive offsets. In JSON, `[sequence, count, offset]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "(u64, u64, i64)", into = "(u64, u64, i64)")]
pub struct Placed {
    /// The first sequence number.
    pub sequence: u64,
    /// How many messages.
    pub count: u64,
    /// The first one's offset.
    pub offset: i64,
}

impl Placed {
    /// The run's sequence numbers.
    pub fn sequences(&self) -> std::ops::Range<u64> {
        self.sequence..self.sequence + self.count
    }

    /// The part of it that has these sequence numbers, if there is one.
    pub fn part(&self, sequences: std::ops::Range<u64>) -> Option<Self> {
        let first = self.sequence.max(sequences.start);
        let end = (self.sequence + self.count).min(sequences.end);
        (first < end).then(|| Self {
            sequence: first,
            count: end - first,
            offset: self.offset_of(first),
        })
    }

    /// The run's offsets. Negative ones are none.
    pub fn offsets(&self) -> std::ops::Range<u64> {
        self.offset.max(0) as u64..(self.offset + self.count as i64).max(0) as u64
    }

    /// The run's messages at these of its offsets.
    pub fn at(&self, offsets: std::ops::Range<u64>) -> std::ops::Range<u64> {
        let sequence = |offset: u64| (self.sequence as i64 + offset as i64 - self.offset) as u64;
        sequence(offsets.start)..sequence(offsets.end)
    }

    /// Whether one of its messages is at this offset.
    pub fn holds(&self, offset: i64) -> bool {
        (self.offset..self.offset + self.count as i64).contains(&offset)
    }

    /// Offset of one of the run's messages.
    pub fn offset_of(&self, sequence: u64) -> i64 {
        self.offset + (sequence - self.sequence) as i64
    }
}

impl From<(u64, u64, i64)> for Placed {
    fn from((sequence, count, offset): (u64, u64, i64)) -> Self {
        Self {
            sequence,
            count,
            offset,
        }
    }
}

impl From<Placed> for (u64, u64, i64) {
    fn from(placed: Placed) -> Self {
        (placed.sequence, placed.count, placed.offset)
    }
}

/// Messages that are not where their sequence numbers belong: none, where every number comes once and behind the lesser.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Disorder {
    /// Runs of which every number was there before.
    pub repeats: Vec<Placed>,
    /// Runs of which no number was there before, but greater ones were: with the greatest of these.
    pub late: Vec<(Placed, u64)>,
}

/// Placements of one producer's messages in one partition, in the order in which they were added. In JSON, a list of
/// runs `[sequence, count, offset]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placements {
    // Each run as what it differs by from a run that would continue the one before.
    encoded: Vec<u8>,
    // Where a run that continued the last encoded one would begin.
    next: (u64, i64),
    // What is at the end of `encoded`, and how many more of it there are that are not encoded yet.
    last: Step,
    more: u64,
    // The run that may still grow.
    open: Option<Placed>,
    ascending: bool,
}

impl Default for Placements {
    fn default() -> Self {
        Self {
            encoded: Vec::new(),
            next: (0, 0),
            last: Step::default(),
            more: 0,
            open: None,
            ascending: true,
        }
    }
}

/// No log has so many messages: differences of numbers below this never overflow.
const LIMIT: u64 = 1 << 60;

/// A run, as what it differs by from one that would continue the run before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Step {
    count: u64,
    sequence: i64,
    offset: i64,
}

const SEQUENCE_JUMPS: u64 = 1;
const OFFSET_JUMPS: u64 = 2;
/// In the place of a run's head: the number of further steps like the last one follows. No run is without a message.
const MORE: u64 = 0;

impl Step {
    fn encode(self, encoded: &mut Vec<u8>) {
        let mut flags = 0;
        if self.sequence != 0 {
            flags |= SEQUENCE_JUMPS;
        }
        if self.offset != 0 {
            flags |= OFFSET_JUMPS;
        }
        append(encoded, (self.count << 2) | flags);
        for jump in [self.sequence, self.offset].into_iter().filter(|jump| *jump != 0) {
            append(encoded, jump);
        }
    }

    /// The run that this step leads to; `next` is where a run that continued the one before would begin.
    fn take(self, next: &mut (u64, i64)) -> Placed {
        let run = Placed {
            sequence: next.0.wrapping_add(self.sequence as u64),
            count: self.count,
            offset: next.1.wrapping_add(self.offset),
        };
        *next = (run.sequence + run.count, run.offset + run.count as i64);
        run
    }
}

fn append(encoded: &mut Vec<u8>, number: impl VarInt) {
    let mut bytes = [0; 10];
    let length = number.encode_var(&mut bytes);
    encoded.extend_from_slice(&bytes[..length]);
}

/// Decodes steps, each with how many there are of it in a row.
struct Steps<'a> {
    encoded: &'a [u8],
    last: Step,
}

impl Steps<'_> {
    fn number<N: VarInt>(&mut self) -> Option<N> {
        let (number, length) = N::decode_var(self.encoded)?;
        self.encoded = self.encoded.get(length..)?;
        Some(number)
    }
}

impl Iterator for Steps<'_> {
    type Item = (Step, u64);

    fn next(&mut self) -> Option<(Step, u64)> {
        let head: u64 = self.number()?;
        if head == MORE {
            return Some((self.last, self.number()?));
        }
        let mut jump = |flag: u64| if head & flag == 0 { Some(0) } else { self.number() };
        self.last = Step {
            sequence: jump(SEQUENCE_JUMPS)?,
            offset: jump(OFFSET_JUMPS)?,
            count: head >> 2,
        };
        Some((self.last, 1))
    }
}

impl Placements {
    /// Adds a message.
    pub fn push(&mut self, sequence: u64, offset: i64) {
        self.push_run(Placed {
            sequence,
            count: 1,
            offset,
        });
    }

    /// Adds a run. One without a message, or that lies beyond any log, is left out.
    pub fn push_run(&mut self, run: Placed) {
        let fits = run.sequence < LIMIT && run.count < LIMIT && run.offset.unsigned_abs() < LIMIT;
        if run.count == 0 || !fits {
            return;
        }
        if let Some(open) = &mut self.open {
            if run.sequence == open.sequence + open.count && run.offset == open.offset + open.count as i64 {
                open.count += run.count;
                return;
            }
            self.ascending &= run.sequence >= open.sequence + open.count;
        }
        if let Some(open) = self.open.replace(run) {
            self.encode(open);
        }
    }

    fn encode(&mut self, run: Placed) {
        let (sequence, offset) = self.next;
        let step = Step {
            count: run.count,
            sequence: run.sequence.wrapping_sub(sequence) as i64,
            offset: run.offset.wrapping_sub(offset),
        };
        self.next = (run.sequence + run.count, run.offset + run.count as i64);
        if step == self.last {
            self.more += 1;
            return;
        }
        if self.more > 0 {
            append(&mut self.encoded, MORE);
            append(&mut self.encoded, std::mem::take(&mut self.more));
        }
        step.encode(&mut self.encoded);
        self.last = step;
    }

    /// The runs, in the order in which they were added. No run continues the one before.
    pub fn iter(&self) -> impl Iterator<Item = Placed> + '_ {
        let steps = Steps {
            encoded: &self.encoded,
            last: Step::default(),
        };
        let all = steps.chain([(self.last, self.more)]);
        let mut next = (0, 0);
        let each = all.flat_map(|(step, times)| std::iter::repeat_n(step, times as usize));
        each.map(move |step| step.take(&mut next)).chain(self.open)
    }

    /// The runs in ascending order of sequence numbers. Needs memory only where they are not in that order already.
    pub fn by_sequence(&self) -> Box<dyn Iterator<Item = Placed> + '_> {
        if self.ascending {
            return Box::new(self.iter());
        }
        let mut runs: Vec<Placed> = self.iter().collect();
        runs.sort_by_key(|run| (run.sequence, run.offset));
        Box::new(runs.into_iter())
    }

    /// The sequence numbers.
    pub fn sequences(&self) -> Ranges {
        let mut sequences = Ranges::default();
        let mut whole = 0..0;
        for run in self.iter() {
            if run.sequence == whole.end {
                whole.end += run.count;
            } else {
                sequences.insert_range(std::mem::replace(&mut whole, run.sequences()));
            }
        }
        sequences.insert_range(whole);
        sequences
    }

    /// The first offset of a message, if it is there. Looks at every run.
    pub fn offset_of(&self, sequence: u64) -> Option<i64> {
        self.offsets_of(sequence).next()
    }

    /// Every offset of a message, in the order in which they were added. Looks at every run.
    pub fn offsets_of(&self, sequence: u64) -> impl Iterator<Item = i64> + '_ {
        self.iter()
            .filter(move |run| run.sequences().contains(&sequence))
            .map(move |run| run.offset_of(sequence))
    }

    /// The parts of the runs whose sequence numbers are in `wanted`, in ascending order of these.
    pub fn within(&self, wanted: &Ranges) -> Vec<Placed> {
        let ranges: Vec<std::ops::Range<u64>> = wanted.iter().collect();
        let mut parts = Vec::new();
        let mut first = 0;
        for run in self.by_sequence() {
            // Runs begin in order, so a range that ends before one of them is of no use to a later one.
            while ranges.get(first).is_some_and(|range| range.end <= run.sequence) {
                first += 1;
            }
            if first == ranges.len() {
                break;
            }
            parts.extend(ranges[first..].iter().map_while(|range| run.part(range.clone())));
        }
        parts
    }

    /// What is not in the order of sequence numbers, with each number once.
    pub fn disorder(&self) -> Disorder {
        let mut disorder = Disorder::default();
        // All numbers so far, but for the range at the top, which mostly just grows.
        let (mut seen, mut top) = (Ranges::default(), 0..0);
        for run in self.iter() {
            if run.sequence == top.end {
                top.end += run.count;
                continue;
            }
            seen.insert_range(top.clone());
            if run.sequence > top.end {
                top = run.sequences();
                continue;
            }
            let before = seen.within_range(run.sequences());
            disorder
                .repeats
                .extend(before.iter().filter_map(|range| run.part(range)));
            let mut late = Ranges::default();
            late.insert_range(run.sequence..(run.sequence + run.count).min(top.end));
            let late = late.without(&before);
            let late = late.iter().filter_map(|range| run.part(range));
            disorder.late.extend(late.map(|part| (part, top.end - 1)));
            seen.insert_range(run.sequences());
            let end = top.end.max(run.sequence + run.count);
            top = end..end;
        }
        disorder
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.open.is_none()
    }
}

impl FromIterator<Placed> for Placements {
    fn from_iter<T: IntoIterator<Item = Placed>>(runs: T) -> Self {
        let mut placements = Self::default();
        runs.into_iter().for_each(|run| placements.push_run(run));
        placements
    }
}

impl Serialize for Placements {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl JsonSchema for Placements {
    fn schema_name() -> Cow<'static, str> {
        "Placements".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Vec::<Placed>::json_schema(generator);
        schema.insert(
            "description".to_owned(),
            "Where messages are: runs `[sequence, count, offset]` in which sequence and offset grow together.".into(),
        );
        schema
    }
}

impl<'de> Deserialize<'de> for Placements {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Runs;

        impl<'de> Visitor<'de> for Runs {
            type Value = Placements;

            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("a list of [sequence, count, offset]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut runs: A) -> Result<Placements, A::Error> {
                let mut placements = Placements::default();
                while let Some(run) = runs.next_element()? {
                    placements.push_run(run);
                }
                Ok(placements)
            }
        }

        deserializer.deserialize_seq(Runs)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_run() -> impl Strategy<Value = Placed> {
        let small = (0..40u64, 1..5u64, -5..40i64);
        // So few that the same step often comes again.
        let alike = (0..3u64, 1..2u64, 0..3i64).prop_map(|(sequence, count, offset)| (sequence * 8, count, offset * 8));
        let wild = (any::<u64>(), any::<u64>(), any::<i64>());
        prop_oneof![4 => small, 4 => alike, 1 => wild].prop_map(Placed::from)
    }

    proptest! {
        #[test]
        fn every_message_is_told_where_it_was_put(runs in proptest::collection::vec(any_run(), 0..40)) {
            let small: Vec<Placed> = runs.into_iter().filter(|run| run.count < 5 && run.sequence < 1 << 60 && run.offset.abs() < 1 << 60).collect();
            let placements: Placements = small.iter().copied().collect();
            let single = |runs: Vec<Placed>| -> Vec<(u64, i64)> {
                let of = |run: Placed| run.sequences().map(move |sequence| (sequence, run.offset_of(sequence)));
                runs.into_iter().flat_map(of).collect()
            };
            let all = single(small.clone());
            prop_assert_eq!(single(placements.iter().collect()), all.clone());
            let mut sorted = all.clone();
            sorted.sort_unstable();
            let mut by_sequence = single(placements.by_sequence().collect());
            // Runs that overlap are in order of their beginnings.
            by_sequence.sort_unstable();
            prop_assert_eq!(by_sequence, sorted);
            let numbers: std::collections::BTreeSet<u64> = all.iter().map(|(sequence, _)| *sequence).collect();
            prop_assert_eq!(placements.sequences().count(), numbers.len() as u64);
            for sequence in numbers.iter().take(5) {
                let expected: Vec<i64> = all.iter().filter(|(other, _)| other == sequence).map(|(_, offset)| *offset).collect();
                prop_assert_eq!(placements.offsets_of(*sequence).collect::<Vec<_>>(), expected);
            }
            let json = serde_json::to_string(&placements).unwrap();
            prop_assert_eq!(serde_json::from_str::<Placements>(&json).unwrap(), placements);
        }

        #[test]
        fn repeats_and_late_ones_are_those_of_their_definitions(
            runs in proptest::collection::vec((0..30u64, 1..5u64), 0..25),
            wanted in proptest::collection::btree_set(0..40u64, 0..10),
        ) {
            let mut placements = Placements::default();
            let mut sequences: Vec<u64> = Vec::new();
            for (first, count) in runs {
                placements.push_run(Placed { sequence: first, count, offset: sequences.len() as i64 });
                sequences.extend(first..first + count);
            }
            let singles = |runs: &[Placed]| -> Vec<(u64, i64)> {
                let mut all: Vec<_> = runs.iter().flat_map(|run| run.sequences().map(|s| (s, run.offset_of(s)))).collect();
                all.sort_unstable();
                all
            };
            let (mut repeats, mut late) = (Vec::new(), Vec::new());
            for (at, sequence) in sequences.iter().enumerate() {
                let before = &sequences[..at];
                if before.contains(sequence) {
                    repeats.push((*sequence, at as i64));
                } else if let Some(greatest) = before.iter().max().filter(|greatest| *greatest > sequence) {
                    late.push((*sequence, at as i64, *greatest));
                }
            }
            repeats.sort_unstable();
            late.sort_unstable();
            let disorder = placements.disorder();
            prop_assert_eq!(singles(&disorder.repeats), repeats);
            let mut told: Vec<_> = disorder.late.iter().flat_map(|(run, after)| run.sequences().map(|s| (s, run.offset_of(s), *after))).collect();
            told.sort_unstable();
            // A run that is late in part is told with the greatest number before it.
            prop_assert_eq!(told, late);

            let mut set = Ranges::default();
            wanted.iter().for_each(|number| set.insert(*number));
            let mut expected: Vec<_> = sequences.iter().enumerate().filter(|(_, s)| wanted.contains(s)).map(|(at, s)| (*s, at as i64)).collect();
            expected.sort_unstable();
            prop_assert_eq!(singles(&placements.within(&set)), expected);
        }

        #[test]
        fn no_run_is_too_wild(runs in proptest::collection::vec(any_run(), 0..20)) {
            let placements: Placements = runs.into_iter().collect();
            let json = serde_json::to_string(&placements).unwrap();
            prop_assert_eq!(serde_json::from_str::<Placements>(&json).unwrap(), placements);
        }
    }

    #[test]
    fn producers_that_take_turns_at_random_cost_two_bytes_a_run_and_evenly_or_alone_none() {
        let (mut random, mut even, mut alone) = (Placements::default(), Placements::default(), Placements::default());
        let mut offset = 0;
        for sequence in 0..100_000u64 {
            offset += 2 + (sequence * sequence / 7 % 3) as i64;
            random.push(sequence, offset);
            even.push(sequence, sequence as i64 * 2);
            alone.push(sequence, sequence as i64);
        }
        assert_eq!(random.iter().count(), 100_000);
        assert!(random.encoded.len() <= 200_010, "{}", random.encoded.len());
        assert_eq!(even.iter().count(), 100_000);
        assert_eq!(even.offset_of(99_999), Some(199_998));
        assert!(even.encoded.len() < 10, "{}", even.encoded.len());
        assert_eq!(alone.iter().count(), 1);
        assert_eq!(serde_json::to_string(&alone).unwrap(), "[[0,100000,0]]");
    }
}

//! A partition beside its copy: which records have how many copies, and in which order these stand.
//!
//! Records are known by what they hold: by producer and sequence number. The log and its copy are walked side by side, run
//! by run; only where they differ a record is looked for.

use crate::workload::audit::{CopyLog, PartitionLog};
use crate::workload::placements::{Placed, Placements};
use crate::workload::ranges::Ranges;

/// What came of copying a partition. Records of it are given by their offsets there.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compared {
    /// Records before the committed offset without a copy.
    pub missing: Ranges,
    /// Further copies of records that have one already: the records' offsets, and the copies'.
    pub twice: Vec<Placed>,
    /// Copies that stand behind a copy of a later record, whose offset is told too.
    pub late: Vec<(Placed, u64)>,
    /// Offsets of copies of what is not in the partition.
    pub foreign: Ranges,
    /// How many values that are not khd's the copy has more than the partition: these are not told apart.
    pub strangers: u64,
    /// Records from the committed offset on, up to where all should have been copied.
    pub behind: Ranges,
    /// How many records have a copy.
    pub copied: u64,
}

/// Compares a partition, as readers with `read_committed` get it, with its copy.
pub fn compare(source: &PartitionLog, copy: &CopyLog) -> Compared {
    let mut foreign = Ranges::default();
    // Of each record with a copy, in the order of the copies: its offset in the place of the sequence number.
    let mut copied = Placements::default();
    let mut rest = Rest::of(source, 0);
    for (producer, mut run) in runs(&copy.log) {
        while run.count > 0 {
            if !rest.begins_with(producer, run.sequence) {
                let Some(offset) = find(source, producer, run.sequence, rest.after) else {
                    foreign.insert(run.offset.max(0) as u64);
                    run = behind(run, 1);
                    continue;
                };
                rest = Rest::of(source, offset);
            }
            let Some(part) = rest.take(run.count) else { break };
            copied.push_run(Placed {
                sequence: part.offset.max(0) as u64,
                count: part.count,
                offset: run.offset,
            });
            run = behind(run, part.count);
        }
    }
    let with_copy = copied.sequences();
    let records: Ranges = runs(source).map(|(_, run)| run.offsets()).collect();
    let without = records.without(&with_copy);
    let (committed, end) = (copy.committed.max(0) as u64, copy.end.max(0) as u64);
    let disorder = copied.disorder();
    Compared {
        foreign,
        strangers: copy.log.foreign.saturating_sub(source.foreign),
        missing: without.within_range(0..committed),
        behind: without.within_range(committed..end),
        twice: disorder.repeats,
        late: disorder.late,
        copied: with_copy.count(),
    }
}

/// The part of a partition's log that was not walked yet.
struct Rest<'a> {
    runs: Box<dyn Iterator<Item = (&'a str, Placed)> + 'a>,
    next: Option<(&'a str, Placed)>,
    /// The offset after the last record that was taken.
    after: i64,
}

impl<'a> Rest<'a> {
    /// The log from an offset on.
    fn of(log: &'a PartitionLog, from: i64) -> Self {
        let from_there = move |(producer, run): (&'a str, Placed)| {
            let before = (from - run.offset).clamp(0, run.count as i64) as u64;
            (before < run.count).then(|| (producer, behind(run, before)))
        };
        let mut runs = Box::new(runs(log).filter_map(from_there));
        Self {
            next: runs.next(),
            runs,
            after: from,
        }
    }

    fn begins_with(&self, producer: &str, sequence: u64) -> bool {
        self.next
            .is_some_and(|(whose, run)| whose == producer && run.sequence == sequence)
    }

    /// Takes up to so many records of the first run.
    fn take(&mut self, count: u64) -> Option<Placed> {
        let (producer, run) = self.next?;
        let count = count.min(run.count);
        let rest = behind(run, count);
        self.after = rest.offset;
        self.next = if rest.count > 0 {
            Some((producer, rest))
        } else {
            self.runs.next()
        };
        Some(Placed { count, ..run })
    }
}

/// A run without its first messages.
fn behind(run: Placed, count: u64) -> Placed {
    Placed {
        sequence: run.sequence + count,
        count: run.count - count,
        offset: run.offset + count as i64,
    }
}

/// Where in a log a message is; the next such place from `after` on, where it is there more than once.
fn find(log: &PartitionLog, producer: &str, sequence: u64, after: i64) -> Option<i64> {
    let placed = log.producers.get(producer)?;
    let next = placed.offsets_of(sequence).find(|offset| *offset >= after);
    next.or_else(|| placed.offset_of(sequence))
}

/// The runs of a log in the order of their offsets, each with its producer.
fn runs(log: &PartitionLog) -> impl Iterator<Item = (&str, Placed)> {
    // Those of one producer are in that order already.
    let mut producers: Vec<_> = log
        .producers
        .iter()
        .map(|(producer, placed)| (producer.as_str(), placed.iter().peekable()))
        .collect();
    std::iter::from_fn(move || {
        let next = producers.iter_mut().enumerate();
        let next = next.filter_map(|(index, (_, runs))| Some((runs.peek()?.offset, index)));
        let (_, index) = next.min()?;
        let (producer, runs) = &mut producers[index];
        Some((*producer, runs.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::audit::Summing;

    impl Compared {
        /// How many records or copies are not as they should be.
        fn violations(&self) -> u64 {
            let twice: u64 = self.twice.iter().map(|run| run.count).sum();
            let late: u64 = self.late.iter().map(|(run, _)| run.count).sum();
            self.missing.count() + twice + late + self.foreign.count() + self.strangers
        }
    }

    /// A log of these messages, one at each offset; a `.` is an offset without a record.
    fn log(messages: &str) -> PartitionLog {
        let values: Vec<&str> = messages.split_whitespace().collect();
        let end = values.len() as i64;
        let mut log = Summing::new("t", 0, 0, end);
        for (offset, value) in (0..).zip(&values).filter(|(_, value)| **value != ".") {
            log.record(offset, format!("1:{}:{}", &value[..1], &value[1..]).as_bytes());
        }
        log.finish(0..end)
    }

    fn compared(source: &str, copies: &str, committed: i64) -> Compared {
        let source = log(source);
        let copy = CopyLog {
            end: source.end,
            committed,
            log: log(copies),
            ..CopyLog::default()
        };
        compare(&source, &copy)
    }

    fn offsets(ranges: &[(u64, u64)]) -> Ranges {
        ranges.iter().map(|(first, end)| *first..*end).collect()
    }

    #[test]
    fn copies_in_the_order_of_the_records_are_as_they_should_be_whatever_markers_are_between() {
        let fine = compared("a0 b0 a1 . a2 b1", "a0 b0 . a1 . . a2 b1 .", 6);
        assert_eq!((fine.violations(), fine.copied), (0, 5));
        assert!(fine.behind.is_empty());
        // What a transaction writes shows before the group's offset was asked for, or after.
        let further = compared("a0 a1 a2 a3", "a0 a1 . a2 .", 2);
        assert_eq!((further.violations(), further.copied), (0, 3));
        assert_eq!(further.behind, offsets(&[(3, 4)]));
    }

    #[test]
    fn what_the_source_holds_twice_is_to_be_copied_twice() {
        assert_eq!(compared("a0 a1 a0 a1 a2", "a0 a1 a0 a1 a2", 5).violations(), 0);
        let once = compared("a0 a1 a0 a1 a2", "a0 a1 a2", 5);
        assert_eq!(once.missing, offsets(&[(2, 4)]));
    }

    #[test]
    fn records_without_a_copy_are_missing_below_the_committed_offset_and_behind_above_it() {
        let lost = compared("a0 a1 b0 a2 a3 a4", "a0 a1 . a3 .", 5);
        assert_eq!((lost.missing, lost.behind), (offsets(&[(2, 4)]), offsets(&[(5, 6)])));
        assert_eq!(compared("a0 a1", "", 2).missing, offsets(&[(0, 2)]));
    }

    #[test]
    fn a_second_copy_and_one_out_of_order_are_told_with_both_places() {
        let again = compared("a0 a1 a2 b0", "a0 a1 . a1 a2 . b0", 4);
        assert_eq!(again.twice, [Placed::from((1, 1, 3))]);
        assert_eq!(again.violations(), 1);
        let late = compared("a0 b0 a1 b1", "a0 a1 b0 b1", 4);
        assert_eq!(late.late, [(Placed::from((1, 1, 2)), 2)]);
        assert_eq!(late.violations(), 1);
    }

    #[test]
    fn copies_of_what_is_not_in_the_source_are_foreign() {
        let foreign = compared("a0 a1", "a0 x0 a1 a7", 2);
        assert_eq!(foreign.foreign, offsets(&[(1, 2), (3, 4)]));
        assert_eq!(foreign.violations(), 2);
    }

    #[test]
    fn strangers_values_are_counted() {
        let mut source = Summing::new("t", 0, 0, 2);
        source.record(0, b"hello");
        source.record(1, b"1:a:0");
        let source = source.finish(0..2);
        let mut copy = CopyLog {
            end: 2,
            committed: 2,
            log: source.clone(),
            ..CopyLog::default()
        };
        assert_eq!(compare(&source, &copy).violations(), 0);
        copy.log.foreign += 2;
        assert_eq!(compare(&source, &copy).violations(), 2);
    }
}

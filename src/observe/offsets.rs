//! Sums up what leaders and the coordinator report of offsets.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::kafka::wire::answers::PartitionOffsets;
use crate::timeline::event::{FRESH, Kind, TopicPartition};
use crate::timeline::record::Timeline;

/// Time between two events.
const INTERVAL: Duration = Duration::from_millis(200);

/// What a broker reports of offsets.
#[derive(Debug)]
pub enum Report {
    /// End offsets of partitions that it leads.
    Ends(Vec<(TopicPartition, EndOffset)>),
    /// Offsets that the group committed, from its coordinator.
    Committed(PartitionOffsets),
}

/// The end offset of a partition, from its leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndOffset {
    /// The offset.
    pub offset: i64,
    /// The epoch in which the broker believes to lead.
    pub epoch: i32,
}

/// Sums up reports, and tells the sums whenever they changed, until it is aborted.
pub async fn observe(mut reports: mpsc::Receiver<Report>, timeline: Timeline) {
    let mut sums = Sums::default();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            Some(report) = reports.recv() => sums.report(report, Instant::now()),
            _ = ticks.tick() => {
                if let Some(event) = sums.event(Instant::now()) {
                    timeline.emit("khd", event);
                }
            }
        }
    }
}

#[derive(Debug, Default)]
struct Sums {
    ends: HashMap<TopicPartition, (EndOffset, Instant)>,
    committed: HashMap<TopicPartition, i64>,
    told: Option<Kind>,
}

impl Sums {
    fn report(&mut self, report: Report, now: Instant) {
        match report {
            Report::Ends(ends) => {
                for (partition, end) in ends {
                    // A leader that was cut off goes on answering; its epoch gives it away.
                    let newest = self
                        .ends
                        .get(&partition)
                        .is_none_or(|(known, _)| known.epoch <= end.epoch);
                    if newest {
                        self.ends.insert(partition, (end, now));
                    }
                }
            }
            Report::Committed(committed) => self.committed.extend(committed),
        }
    }

    /// The sums, if they differ from those told last. A partition without a leader stands with its last offset.
    fn event(&mut self, now: Instant) -> Option<Kind> {
        if self.ends.is_empty() {
            return None;
        }
        let fresh = self.ends.values().filter(|(_, at)| now.duration_since(*at) <= FRESH);
        let event = Kind::Offsets {
            partitions: fresh.count() as u32,
            end: self.ends.values().map(|(end, _)| end.offset).sum(),
            committed: self.committed.values().sum(),
        };
        if self.told.as_ref() == Some(&event) {
            return None;
        }
        self.told = Some(event.clone());
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: i32) -> TopicPartition {
        ("test-1".into(), number)
    }

    fn ends(ends: &[(i32, i64, i32)]) -> Report {
        let ends = ends.iter();
        Report::Ends(
            ends.map(|(number, offset, epoch)| {
                (
                    partition(*number),
                    EndOffset {
                        offset: *offset,
                        epoch: *epoch,
                    },
                )
            })
            .collect(),
        )
    }

    fn offsets(end: i64, committed: i64, partitions: u32) -> Option<Kind> {
        Some(Kind::Offsets {
            end,
            committed,
            partitions,
        })
    }

    #[test]
    fn sums_are_told_once_until_they_change() {
        let now = Instant::now();
        let mut sums = Sums::default();
        assert_eq!(sums.event(now), None);
        sums.report(ends(&[(0, 10, 1), (1, 20, 1)]), now);
        sums.report(Report::Committed(vec![(partition(0), 7)]), now);
        assert_eq!(sums.event(now), offsets(30, 7, 2));
        sums.report(ends(&[(0, 10, 1)]), now);
        assert_eq!(sums.event(now), None);
        sums.report(ends(&[(0, 11, 1)]), now);
        assert_eq!(sums.event(now), offsets(31, 7, 2));
    }

    #[test]
    fn a_partition_whose_leader_is_away_keeps_its_last_offset_but_does_not_count() {
        let now = Instant::now();
        let mut sums = Sums::default();
        sums.report(ends(&[(0, 10, 1), (1, 20, 1)]), now);
        assert_eq!(sums.event(now), offsets(30, 0, 2));
        let later = now + FRESH + INTERVAL;
        sums.report(ends(&[(1, 25, 1)]), later);
        assert_eq!(sums.event(later), offsets(35, 0, 1));
    }

    #[test]
    fn a_leader_of_an_older_epoch_is_not_believed_and_one_of_a_newer_epoch_may_have_lost_messages() {
        let now = Instant::now();
        let mut sums = Sums::default();
        sums.report(ends(&[(0, 10, 4)]), now);
        sums.report(ends(&[(0, 99, 3)]), now);
        assert_eq!(sums.event(now), offsets(10, 0, 1));
        sums.report(ends(&[(0, 8, 5)]), now);
        assert_eq!(sums.event(now), offsets(8, 0, 1));
    }
}

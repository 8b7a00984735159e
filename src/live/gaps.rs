//! Gaps in words: partitions whose gaps open or close together share a line, since a broker's death opens dozens.

use std::time::Duration;

use crate::timeline::event::{Event, Kind, Success};

/// How long to wait for more of them.
pub const TOGETHER: Duration = Duration::from_millis(500);

/// Gaps that are still to be shown.
#[derive(Debug, Default)]
pub struct Gaps(Vec<Group>);

/// Gaps of one client that opened, or closed, together.
#[derive(Debug)]
struct Group {
    elapsed_ms: u64,
    source: String,
    of: Success,
    closed: bool,
    first: String,
    partitions: u32,
    longest_ms: i64,
}

impl Gaps {
    /// Takes an event that is about a gap; says whether it was.
    pub fn take(&mut self, event: &Event) -> bool {
        let (of, topic, partition, length) = match &event.kind {
            Kind::GapOpened {
                of, topic, partition, ..
            } => (*of, topic, *partition, None),
            Kind::GapClosed {
                of,
                topic,
                partition,
                from,
                to,
            } => (*of, topic, *partition, Some(to.saturating_sub(*from))),
            _ => return false,
        };
        let like =
            |group: &&mut Group| group.source == event.source && group.of == of && group.closed == length.is_some();
        let length = length.unwrap_or_default();
        if let Some(group) = self.0.iter_mut().find(like) {
            group.partitions += 1;
            group.longest_ms = group.longest_ms.max(length);
        } else {
            self.0.push(Group {
                elapsed_ms: event.elapsed_ms,
                source: event.source.clone(),
                of,
                closed: matches!(event.kind, Kind::GapClosed { .. }),
                first: format!("{topic}-{partition}"),
                partitions: 1,
                longest_ms: length,
            });
        }
        true
    }

    /// Whether none is to be shown.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes out what is to be shown: the time since the start of each line, and its words.
    pub fn drain(&mut self) -> impl Iterator<Item = (u64, String)> {
        self.0.drain(..).map(|group| (group.elapsed_ms, group.words()))
    }
}

/// What a success did to a message.
pub fn done(of: Success) -> &'static str {
    match of {
        Success::Acknowledgement => "acknowledged",
        Success::Delivery => "delivered",
    }
}

impl Group {
    fn words(&self) -> String {
        let done = done(self.of);
        let (source, seconds) = (&self.source, self.longest_ms as f64 / 1_000.0);
        match (self.closed, self.partitions) {
            (false, 1) => format!("{source}: nothing {done} on {}", self.first),
            (false, some) => format!("{source}: nothing {done} on {some} partitions"),
            (true, 1) => format!("{source}: {done} again on {}, after {seconds:.1} s", self.first),
            (true, some) => format!("{source}: {done} again on {some} partitions, after at most {seconds:.1} s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(elapsed_ms: u64, source: &str, kind: Kind) -> Event {
        Event {
            wall: jiff::Timestamp::UNIX_EPOCH,
            elapsed_ms,
            source: source.into(),
            kind,
        }
    }

    fn opened(partition: i32) -> Kind {
        Kind::GapOpened {
            of: Success::Acknowledgement,
            topic: "test-1".into(),
            partition,
            since: 5,
        }
    }

    fn closed(partition: i32, to: i64) -> Kind {
        Kind::GapClosed {
            of: Success::Delivery,
            topic: "test-1".into(),
            partition,
            from: 1_000,
            to,
        }
    }

    #[test]
    fn gaps_of_one_client_share_a_line_with_the_longest_and_the_time_of_the_first() {
        let mut gaps = Gaps::default();
        for partition in 0..10 {
            assert!(gaps.take(&event(7 + partition as u64, "producer-1", opened(partition))));
        }
        assert!(gaps.take(&event(20, "producer-2", opened(4))));
        for (partition, to) in [(0, 3_000), (1, 19_300), (2, 4_000)] {
            assert!(gaps.take(&event(30, "consumer-1", closed(partition, to))));
        }
        assert!(gaps.take(&event(31, "consumer-2", closed(3, 2_500))));
        assert!(!gaps.take(&event(32, "kafka1", Kind::BrokerAnswers)));
        let lines: Vec<(u64, String)> = gaps.drain().collect();
        let expected = [
            (7, "producer-1: nothing acknowledged on 10 partitions"),
            (20, "producer-2: nothing acknowledged on test-1-4"),
            (30, "consumer-1: delivered again on 3 partitions, after at most 18.3 s"),
            (31, "consumer-2: delivered again on test-1-3, after 1.5 s"),
        ];
        assert_eq!(lines, expected.map(|(at, words)| (at, words.to_owned())));
        assert!(gaps.is_empty());
    }
}

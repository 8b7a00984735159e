//! How fast messages go into the log and are committed, from the sums of offsets.

use std::collections::VecDeque;

use serde::Serialize;

use crate::timeline::event::{Event, Kind};

/// What a rate is the mean of, in milliseconds: long enough to even out commits, short enough to see a stall.
const WINDOW: u64 = 5_000;
/// After this many milliseconds without a new sum, the sum stands still: sums are told when they change.
const STILL: u64 = 1_500;

/// Messages a second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rates {
    /// That were written to the log.
    pub written: f64,
    /// Whose offsets the group committed.
    pub committed: f64,
}

/// The sums of the last seconds.
#[derive(Debug, Default)]
pub struct Flow(VecDeque<Sums>);

#[derive(Debug, Clone, Copy)]
struct Sums {
    at: u64,
    end: i64,
    committed: i64,
}

impl Flow {
    /// Folds an event in.
    pub fn take(&mut self, event: &Event) {
        if let Kind::Offsets { end, committed, .. } = event.kind {
            let at = event.elapsed_ms;
            self.0.push_back(Sums { at, end, committed });
            // The last one before the window says what held when it began.
            while self.0.get(1).is_some_and(|second| second.at + WINDOW <= at) {
                self.0.pop_front();
            }
        }
    }

    /// The rates `now`, in milliseconds since the start; none while there is too little to tell them from.
    pub fn rates(&self, now: u64) -> Option<Rates> {
        let begin = now.saturating_sub(WINDOW);
        let last = self.0.back()?;
        let before = self.0.iter().rev().find(|sums| sums.at <= begin);
        let first = before.or_else(|| self.0.front())?;
        let until = if now < last.at + STILL { last.at } else { now };
        let millis = until.saturating_sub(first.at.max(begin));
        if millis < 1_000 {
            return None;
        }
        // Topics that are made anew begin from 0 again.
        let rate = |from: i64, to: i64| to.saturating_sub(from).max(0) as f64 * 1_000.0 / millis as f64;
        Some(Rates {
            written: rate(first.end, last.end),
            committed: rate(first.committed, last.committed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::screen::testing::event;

    fn offsets(at: u64, end: i64, committed: i64) -> Event {
        let partitions = 1;
        event(
            at,
            "khd",
            Kind::Offsets {
                end,
                committed,
                partitions,
            },
        )
    }

    #[test]
    fn rates_are_those_of_the_last_seconds_and_fall_to_none_when_nothing_moves() {
        let mut flow = Flow::default();
        flow.take(&offsets(0, 0, 0));
        assert_eq!(flow.rates(500), None, "too little is known");
        for n in 1..=40 {
            flow.take(&offsets(n * 500, 50 * n as i64, 25 * n as i64));
        }
        let steady = flow.rates(20_100).unwrap();
        assert!((95.0..=105.0).contains(&steady.written), "{steady:?}");
        assert!((47.0..=53.0).contains(&steady.committed), "{steady:?}");
        let slower = flow.rates(22_500).unwrap();
        assert!((45.0..=55.0).contains(&slower.written), "{slower:?}");
        assert_eq!(flow.rates(26_000).unwrap().written, 0.0);
        // After the pause it counts from when the window began, not from the sum that stood for so long.
        flow.take(&offsets(60_000, 2_500, 1_000));
        let again = flow.rates(60_000).unwrap();
        assert!((95.0..=105.0).contains(&again.written), "{again:?}");
    }

    #[test]
    fn topics_made_anew_do_not_make_a_rate_negative() {
        let mut flow = Flow::default();
        flow.take(&offsets(0, 900, 900));
        flow.take(&offsets(2_000, 10, 0));
        let rates = flow.rates(2_000).unwrap();
        assert_eq!((rates.written, rates.committed), (0.0, 0.0));
    }
}

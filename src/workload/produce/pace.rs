//! An even pace that catches up after a pause, but not after a long one.

use std::time::{Duration, Instant};

/// How far behind its schedule a producer may catch up: more would be a burst that nobody asked for.
const CATCH_UP: Duration = Duration::from_millis(500);

/// Longest single sleep, so that a cancellation is seen soon.
const NAP: Duration = Duration::from_millis(50);

/// When to send next.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    next: Instant,
}

impl Pace {
    /// A message every `interval`; zero never waits.
    pub fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, next: now }
    }

    /// How long to sleep before asking again; `None` when it is time for the next message, which is then taken as sent.
    pub fn wait(&mut self, now: Instant) -> Option<Duration> {
        if self.interval.is_zero() {
            return None;
        }
        if now < self.next {
            return Some((self.next - now).min(NAP));
        }
        if now - self.next > CATCH_UP {
            self.next = now - CATCH_UP;
        }
        self.next += self.interval;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent_by(pace: &mut Pace, now: Instant) -> u32 {
        let mut sent = 0;
        while pace.wait(now).is_none() {
            sent += 1;
        }
        sent
    }

    #[test]
    fn a_late_wake_up_is_caught_up_with() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_millis(10), start);
        assert_eq!(sent_by(&mut pace, start), 1);
        assert_eq!(sent_by(&mut pace, start + Duration::from_millis(9)), 0);
        assert_eq!(sent_by(&mut pace, start + Duration::from_millis(35)), 3);
        assert_eq!(sent_by(&mut pace, start + Duration::from_millis(1000)), 51);
    }

    #[test]
    fn flat_out_never_waits() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::ZERO, start);
        assert_eq!(pace.wait(start), None);
    }
}

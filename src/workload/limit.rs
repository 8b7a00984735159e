//! Keeping repeated lines rare: one a second, with the number of those left out.

use std::time::{Duration, Instant};

/// How often a line may appear.
const EVERY: Duration = Duration::from_secs(1);

/// A limit for one kind of line.
#[derive(Debug, Default)]
pub struct Limit {
    last: Option<Instant>,
    suppressed: u64,
}

impl Limit {
    /// Whether the line may appear now: then with how many were left out before it.
    pub fn allow(&mut self) -> Option<u64> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last < EVERY) {
            self.suppressed += 1;
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_left_out_are_counted() {
        let mut limit = Limit::default();
        assert_eq!(limit.allow(), Some(0));
        assert_eq!(limit.allow(), None);
        assert_eq!(limit.allow(), None);
        limit.last = Some(Instant::now() - EVERY);
        assert_eq!(limit.allow(), Some(2));
        assert_eq!(limit.allow(), None);
    }
}

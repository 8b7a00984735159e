//! When something succeeded, and how long it did not: stretches of time, and the gaps between them.
//!
//! Times are milliseconds since the Unix epoch. Successes at most [`QUIET_MS`] apart belong to one stretch, so
//! a stretch is as exact as its ends, and no gap of at most [`QUIET_MS`] is told.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// Milliseconds of silence that are not yet a gap.
pub const QUIET_MS: i64 = 250;

/// Longest sample that [`Activity`] keeps, in milliseconds: counts are exact to this at a window's edges. As long as
/// what a line of a ledger tells; a longer one would leave a drill of a second without a success that is certain.
const SAMPLE_MS: i64 = 250;

/// A stretch of successes without a gap. In JSON, `[first, last, count]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "(i64, i64, u64)", into = "(i64, i64, u64)")]
pub struct Span {
    /// Time of the first.
    pub first: i64,
    /// Time of the last.
    pub last: i64,
    /// How many.
    pub count: u64,
}

/// Times are so many milliseconds at most: differences of such never overflow.
const LIMIT_MS: i64 = 1 << 60;

/// No stretch has more successes: sums of such never overflow.
const LIMIT_COUNT: u64 = 1 << 40;

impl From<(i64, i64, u64)> for Span {
    fn from((first, last, count): (i64, i64, u64)) -> Self {
        let first = first.clamp(-LIMIT_MS, LIMIT_MS);
        Self {
            first,
            last: last.clamp(first, LIMIT_MS),
            count: count.min(LIMIT_COUNT),
        }
    }
}

impl From<Span> for (i64, i64, u64) {
    fn from(span: Span) -> Self {
        (span.first, span.last, span.count)
    }
}

/// Adds a success at `at` to spans in the making.
pub fn push(spans: &mut SmallVec<[Span; 1]>, at: i64) {
    match spans.last_mut() {
        // A clock that was set back a little must not make a span's end come before its beginning.
        Some(span) if at >= span.first - QUIET_MS && at <= span.last + QUIET_MS => {
            span.first = span.first.min(at);
            span.last = span.last.max(at);
            span.count += 1;
        }
        _ => spans.push(Span {
            first: at,
            last: at,
            count: 1,
        }),
    }
}

/// A window of time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its beginning.
    pub from: i64,
    /// Its end.
    pub to: i64,
}

/// A time without a success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last success before it, or the window's beginning.
    pub from: i64,
    /// The first success after it, or the window's end.
    pub to: i64,
}

impl Gap {
    /// How long it was, in milliseconds.
    pub fn length(&self) -> i64 {
        self.to - self.from
    }
}

/// The union of spans: disjoint, more than [`QUIET_MS`] apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(BTreeMap<i64, i64>);

impl Spans {
    /// Adds the time from `first` to `last`.
    pub fn insert(&mut self, first: i64, last: i64) {
        let (mut first, mut last) = (first, last.max(first));
        // Nearly always it goes on with the latest one.
        if let Some(mut latest) = self.0.last_entry()
            && first >= *latest.key()
            && first <= latest.get().saturating_add(QUIET_MS)
        {
            let end = latest.get_mut();
            *end = last.max(*end);
            return;
        }
        while let Some((&start, &end)) = self.0.range(..=last.saturating_add(QUIET_MS)).next_back() {
            if end.saturating_add(QUIET_MS) < first {
                break;
            }
            first = first.min(start);
            last = last.max(end);
            self.0.remove(&start);
        }
        self.0.insert(first, last);
    }

    /// The spans as `(first, last)`, in ascending order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (i64, i64)> + '_ {
        self.0.iter().map(|(first, last)| (*first, *last))
    }
}

/// Every gap of `spans` within `window` that is longer than [`QUIET_MS`], clipped to it. A gap that is still
/// open at the window's end counts up to there, and so does one that was open at its beginning.
pub fn gaps(spans: &Spans, window: Window) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut silent_since = window.from;
    let mut silence = |from: i64, to: i64| {
        if to - from > QUIET_MS {
            gaps.push(Gap { from, to });
        }
    };
    for (first, last) in spans.iter() {
        if last < window.from {
            continue;
        }
        if first > window.to {
            break;
        }
        silence(silent_since, first);
        silent_since = silent_since.max(last);
    }
    silence(silent_since, window.to);
    gaps
}

/// The longest of [`gaps`]; the earliest of equals. `None` when none is longer than [`QUIET_MS`].
pub fn longest_gap(spans: &Spans, window: Window) -> Option<Gap> {
    gaps(spans, window)
        .into_iter()
        .reduce(|longest, gap| if gap.length() > longest.length() { gap } else { longest })
}

/// When and how often something succeeded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Activity {
    spans: Spans,
    // Samples of at most a quarter of a second: spans alone would lose where in them the successes lie.
    samples: Vec<Span>,
}

impl Activity {
    /// Adds a stretch of successes.
    pub fn add(&mut self, span: Span) {
        self.spans.insert(span.first, span.last);
        match self.samples.last_mut() {
            Some(sample) if span.first >= sample.first && span.last - sample.first <= SAMPLE_MS => {
                sample.last = sample.last.max(span.last);
                sample.count += span.count;
            }
            _ => self.samples.push(span),
        }
    }

    /// Adds all of `other`: of another producer, or of another partition.
    pub fn merge(&mut self, other: &Self) {
        for (first, last) in other.spans.iter() {
            self.spans.insert(first, last);
        }
        self.samples.extend_from_slice(&other.samples);
    }

    /// When there were successes.
    pub fn spans(&self) -> &Spans {
        &self.spans
    }

    /// The successes as samples of a quarter of a second or less, in the order in which they were added.
    pub fn samples(&self) -> &[Span] {
        &self.samples
    }

    /// The longest gap within `window`, as [`longest_gap`] tells it.
    pub fn longest_gap(&self, window: Window) -> Option<Gap> {
        longest_gap(&self.spans, window)
    }

    /// How many successes there were.
    pub fn count(&self) -> u64 {
        self.samples
            .iter()
            .fold(0, |sum, sample| sum.saturating_add(sample.count))
    }

    /// How many successes certainly lie within `window`: those of the last 250 ms before either edge may be missed.
    pub fn count_within(&self, window: Window) -> u64 {
        self.samples
            .iter()
            .filter(|sample| sample.first >= window.from && sample.last <= window.to)
            .map(|sample| sample.count)
            .sum()
    }

    /// When there was success again after a send that began at `at` had none. What was acknowledged within
    /// [`QUIET_MS`] after that, and then nothing for as long, had been in flight already.
    pub fn recovered_after(&self, at: i64) -> Option<i64> {
        let over = |(_, last): &(i64, i64)| *last <= at + QUIET_MS;
        let (first, _) = self.spans.iter().find(|span| !over(span))?;
        Some(first.max(at))
    }

    /// The first success at or after `at`, exact to [`QUIET_MS`].
    pub fn first_after(&self, at: i64) -> Option<i64> {
        let (first, _) = self.spans.iter().find(|(_, last)| *last >= at)?;
        Some(first.max(at))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive_gaps(mut times: Vec<i64>, window: Window) -> Vec<Gap> {
        times.retain(|at| *at >= window.from && *at <= window.to);
        times.extend([window.from, window.to]);
        times.sort_unstable();
        times
            .windows(2)
            .map(|pair| Gap {
                from: pair[0],
                to: pair[1],
            })
            .filter(|gap| gap.length() > QUIET_MS)
            .collect()
    }

    proptest! {
        #[test]
        fn gaps_are_those_between_single_successes_of_all_producers(
            a in proptest::collection::vec(0..20_000i64, 0..60),
            b in proptest::collection::vec(0..20_000i64, 0..60),
            from in 0..10_000i64,
            length in 0..15_000i64,
            chunk in 1..20usize,
        ) {
            let mut merged = Activity::default();
            let mut exact_to = SAMPLE_MS;
            for producer in [&a, &b] {
                let mut sorted = producer.clone();
                sorted.sort_unstable();
                let mut activity = Activity::default();
                // As a ledger does: a new list of spans with each line.
                for line in sorted.chunks(chunk) {
                    let mut spans = SmallVec::new();
                    for at in line {
                        push(&mut spans, *at);
                    }
                    for span in spans {
                        // A line that came late tells of more than a sample should.
                        exact_to = exact_to.max(span.last - span.first);
                        activity.add(span);
                    }
                }
                prop_assert_eq!(activity.count(), producer.len() as u64);
                merged.merge(&activity);
            }
            let times: Vec<i64> = a.iter().chain(&b).copied().collect();
            let mut window = Window { from, to: from + length };
            // A window that cuts a span in two sees the success at its edge sooner: put its edges on successes.
            if let Some(first) = times.iter().filter(|at| **at >= window.from).min() { window.from = *first; }
            if let Some(last) = times.iter().filter(|at| **at <= window.to).max() { window.to = *last; }
            prop_assume!(window.from <= window.to);
            let expected = naive_gaps(times.clone(), window);
            prop_assert_eq!(gaps(merged.spans(), window), expected.clone());
            let longest = expected.iter().map(Gap::length).max();
            prop_assert_eq!(merged.longest_gap(window).map(|gap| gap.length()), longest);

            let within = times.iter().filter(|at| **at >= window.from && **at <= window.to).count() as u64;
            prop_assert!(merged.count_within(window) <= within);
            let inner = Window { from: window.from + exact_to, to: window.to - exact_to };
            let certain = times.iter().filter(|at| **at >= inner.from && **at <= inner.to).count() as u64;
            prop_assert!(merged.count_within(window) >= certain);
        }

        #[test]
        fn the_order_of_insertion_does_not_matter(
            mut pairs in proptest::collection::vec((0..5_000i64, 0..600i64), 0..20),
        ) {
            let mut spans = Spans::default();
            pairs.iter().for_each(|(first, length)| spans.insert(*first, first + length));
            pairs.reverse();
            let mut reversed = Spans::default();
            pairs.iter().for_each(|(first, length)| reversed.insert(*first, first + length));
            prop_assert_eq!(spans, reversed);
        }
    }

    #[test]
    fn silence_still_open_at_the_end_of_the_window_is_a_gap() {
        let mut spans = Spans::default();
        spans.insert(0, 1_000);
        let window = Window { from: 500, to: 31_000 };
        let gap = longest_gap(&spans, window).unwrap();
        assert_eq!((gap.from, gap.to, gap.length()), (1_000, 31_000, 30_000));
    }

    #[test]
    fn a_window_without_any_success_is_one_gap() {
        let window = Window { from: 0, to: 5_000 };
        assert_eq!(longest_gap(&Spans::default(), window), Some(Gap { from: 0, to: 5_000 }));
        let short = Window { from: 0, to: QUIET_MS };
        assert_eq!(longest_gap(&Spans::default(), short), None);
    }

    #[test]
    fn a_window_of_a_second_amid_successes_is_not_without_any() {
        let mut activity = Activity::default();
        // As a ledger tells of one every 10 ms.
        (0..40).for_each(|line| activity.add((line * 250, line * 250 + 240, 25).into()));
        for from in 0..5_000 {
            let to = from + 1_000;
            assert!(activity.count_within(Window { from, to }) >= 50, "from {from}");
        }
    }

    #[test]
    fn what_was_in_flight_when_sends_began_to_fail_is_no_recovery() {
        let mut activity = Activity::default();
        activity.add((0, 10_060, 100).into());
        activity.add((40_000, 60_000, 100).into());
        assert_eq!(activity.recovered_after(10_055), Some(40_000));
        assert_eq!(
            activity.recovered_after(5_000),
            Some(5_000),
            "others succeeded all the time"
        );
        assert_eq!(activity.recovered_after(59_900), None);
        assert_eq!(activity.recovered_after(60_001), None);
        // A partition with few messages: what was in flight stands apart.
        let mut slow = Activity::default();
        for (first, last) in [(0, 9_500), (10_060, 10_070), (40_000, 60_000)] {
            slow.add((first, last, 10).into());
        }
        assert_eq!(slow.recovered_after(10_055), Some(40_000));
    }

    #[test]
    fn times_of_a_strange_ledger_do_not_overflow() {
        let mut activity = Activity::default();
        activity.add((i64::MIN, i64::MAX, u64::MAX).into());
        activity.add((i64::MAX, i64::MIN, u64::MAX).into());
        activity.add((0, 10, u64::MAX).into());
        assert!(activity.count() > 0 && activity.count_within(Window { from: 0, to: 1_000 }) > 0);
        assert_eq!(activity.longest_gap(Window { from: 0, to: 1_000 }), None);
    }

    #[test]
    fn the_first_success_after_a_time_is_found() {
        let mut activity = Activity::default();
        activity.add((1_000, 2_000, 5).into());
        activity.add((9_000, 9_500, 5).into());
        assert_eq!(activity.first_after(0), Some(1_000));
        assert_eq!(activity.first_after(1_500), Some(1_500));
        assert_eq!(activity.first_after(2_001), Some(9_000));
        assert_eq!(activity.first_after(9_501), None);
    }
}

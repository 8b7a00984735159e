//! How long sends and deliveries took, as HDR histograms: of one producer and partition, of a second, of everything.
//! They are merged, and percentiles are taken of what was merged; percentiles are never averaged.

use std::sync::LazyLock;

use hdrhistogram::Histogram;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The longest latency that is told apart: an hour, in microseconds.
const LONGEST: u64 = 3_600_000_000;

/// Buckets of an HDR histogram from 1 µs to an hour, exact to two significant digits.
static EMPTY: LazyLock<Option<Histogram<u64>>> = LazyLock::new(|| Histogram::new_with_bounds(1, LONGEST, 2).ok());

/// An HDR histogram of latencies in microseconds, of which only buckets that hold something are kept. In JSON, a list
/// of `[microseconds, count]`, each the least value of its bucket; a value is at most 1 % above that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Latency(
    // In ascending order. A second of a partition has few, which are found the soonest in a list.
    Vec<(u64, u64)>,
);

/// The bucket of so many microseconds, by its least value.
fn bucket(micros: u64) -> u64 {
    let micros = micros.clamp(1, LONGEST);
    EMPTY.as_ref().map_or(micros, |empty| empty.lowest_equivalent(micros))
}

impl Latency {
    /// Adds one, in microseconds. Less than one counts as one, more than an hour as an hour.
    pub fn record(&mut self, micros: u64) {
        self.add(bucket(micros), 1);
    }

    fn add(&mut self, bucket: u64, count: u64) {
        // They mostly come in order.
        if self.0.last().is_none_or(|(last, _)| *last < bucket) {
            return self.0.push((bucket, count));
        }
        match self.0.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => self.0.insert(at, (bucket, count)),
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|(bucket, count)| self.add(*bucket, *count));
    }

    /// The least value of each bucket, in microseconds, and how many are in it.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its percentiles; `None` when it is empty.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let mut histogram = EMPTY.clone().filter(|_| !self.is_empty())?;
        for (bucket, count) in &self.0 {
            histogram.saturating_record_n(*bucket, *count);
        }
        let ms = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Some(Percentiles {
            count: self.count(),
            p50_ms: ms(0.5),
            p90_ms: ms(0.9),
            p99_ms: ms(0.99),
            p999_ms: ms(0.999),
            max_ms: ms(1.0),
        })
    }
}

/// Percentiles of a [`Latency`], in milliseconds: the greatest values of their buckets.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Percentiles {
    /// Of how many.
    pub count: u64,
    /// The median.
    pub p50_ms: f64,
    /// The 90th percentile.
    pub p90_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The 99.9th percentile.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl From<Vec<(u64, u64)>> for Latency {
    fn from(mut buckets: Vec<(u64, u64)>) -> Self {
        buckets.iter_mut().for_each(|(micros, _)| *micros = bucket(*micros));
        if buckets.is_sorted_by(|(one, _), (next, _)| one < next) {
            // As khd writes them.
            return Self(buckets);
        }
        let mut latency = Self::default();
        buckets
            .into_iter()
            .for_each(|(bucket, count)| latency.add(bucket, count));
        latency
    }
}

impl From<Latency> for Vec<(u64, u64)> {
    fn from(latency: Latency) -> Self {
        latency.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn merged_histograms_tell_what_one_of_all_values_tells(
            a in proptest::collection::vec(1..10_000_000u64, 1..200),
            b in proptest::collection::vec(1..10_000_000u64, 0..200),
        ) {
            let (mut one, mut other, mut all) = (Latency::default(), Latency::default(), Latency::default());
            a.iter().for_each(|micros| one.record(*micros));
            b.iter().for_each(|micros| other.record(*micros));
            a.iter().chain(&b).for_each(|micros| all.record(*micros));
            let json = serde_json::to_string(&other).unwrap();
            one.merge(&serde_json::from_str(&json).unwrap());
            prop_assert_eq!(&one, &all);

            let mut values: Vec<u64> = a.iter().chain(&b).copied().collect();
            values.sort_unstable();
            let told = all.percentiles().unwrap();
            prop_assert_eq!(told.count, values.len() as u64);
            let median = values[(values.len() - 1) / 2] as f64 / 1000.0;
            prop_assert!(told.p50_ms >= median * 0.98 - 0.002 && told.p50_ms <= median * 1.02 + 0.002, "{} {median}", told.p50_ms);
            let longest = values[values.len() - 1] as f64 / 1000.0;
            prop_assert!((told.max_ms - longest).abs() <= longest * 0.02 + 0.002);
        }
    }

    #[test]
    fn what_is_out_of_bounds_counts_as_the_bound() {
        let mut latency = Latency::default();
        latency.record(0);
        latency.record(u64::MAX);
        let told = latency.percentiles().unwrap();
        assert_eq!((told.count, told.p50_ms), (2, 0.001));
        assert!(told.max_ms >= 3_600_000.0);
        assert_eq!(Latency::default().percentiles(), None);
    }
}

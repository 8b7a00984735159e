//! Sets of sequence numbers or offsets, kept as ranges: as big as their gaps, not as their messages.

use std::borrow::Cow;
use std::ops::Range;

use rangemap::RangeSet;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of whole numbers. In JSON, a list of `[first, last]`, both included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ranges(RangeSet<u64>);

impl Ranges {
    /// Adds one number.
    pub fn insert(&mut self, number: u64) {
        self.0.insert(number..number + 1);
    }

    /// Adds every number of a range.
    pub fn insert_range(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.0.insert(range);
        }
    }

    /// Removes every number of a range.
    pub fn remove_range(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.0.remove(range);
        }
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Self) {
        for range in other.iter() {
            self.0.insert(range);
        }
    }

    /// Whether `number` is in the set.
    pub fn contains(&self, number: u64) -> bool {
        self.0.contains(&number)
    }

    /// The range around `number`, if it is in the set.
    pub fn around(&self, number: u64) -> Option<Range<u64>> {
        self.0.get(&number).cloned()
    }

    /// How many numbers there are.
    pub fn count(&self) -> u64 {
        self.iter().map(|range| range.end - range.start).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The greatest number.
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|range| range.end - 1)
    }

    /// The ranges in ascending order; between two of them lies at least one number that is not in the set.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = self.clone();
        for range in other.iter() {
            rest.0.remove(range);
        }
        rest
    }

    /// The least numbers, so many of them or all.
    #[must_use]
    pub fn first(&self, count: usize) -> Self {
        let mut left = count as u64;
        let taken = self.iter().map_while(|range| {
            let end = range.end.min(range.start.saturating_add(left));
            left -= end - range.start;
            (end > range.start).then_some(range.start..end)
        });
        taken.collect()
    }

    /// What is in this set and in a range. Looks only at the ranges there.
    #[must_use]
    pub fn within_range(&self, range: Range<u64>) -> Self {
        if range.is_empty() {
            return Self::default();
        }
        let clipped = |found: &Range<u64>| found.start.max(range.start)..found.end.min(range.end);
        self.0.overlapping(&range).map(clipped).collect()
    }

    /// What is in this set and in `other`.
    #[must_use]
    pub fn within(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).collect())
    }
}

impl FromIterator<Range<u64>> for Ranges {
    fn from_iter<T: IntoIterator<Item = Range<u64>>>(ranges: T) -> Self {
        let mut set = Self::default();
        for range in ranges {
            set.insert_range(range);
        }
        set
    }
}

impl Serialize for Ranges {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|range| (range.start, range.end - 1)))
    }
}

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut set = Self::default();
        for (first, last) in Vec::<(u64, u64)>::deserialize(deserializer)? {
            if first > last || last == u64::MAX {
                return Err(D::Error::custom(format!("[{first}, {last}] is not a range")));
            }
            set.insert_range(first..last + 1);
        }
        Ok(set)
    }
}

impl JsonSchema for Ranges {
    fn schema_name() -> Cow<'static, str> {
        "Ranges".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Vec::<(u64, u64)>::json_schema(generator);
        schema.insert(
            "description".to_owned(),
            "A set of whole numbers: ranges `[first, last]`, both included, in ascending order.".into(),
        );
        schema
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn ranges(numbers: &BTreeSet<u64>) -> Ranges {
        let mut set = Ranges::default();
        for number in numbers {
            set.insert(*number);
        }
        set
    }

    proptest! {
        #[test]
        fn they_behave_as_plain_sets_do(
            a in proptest::collection::btree_set(0..50u64, 0..40),
            b in proptest::collection::btree_set(0..50u64, 0..40),
        ) {
            let (x, y) = (ranges(&a), ranges(&b));
            prop_assert_eq!(x.count(), a.len() as u64);
            prop_assert_eq!(x.last(), a.last().copied());
            prop_assert_eq!(x.without(&y), ranges(&(&a - &b)));
            prop_assert_eq!(x.within(&y), ranges(&(&a & &b)));
            let least: BTreeSet<u64> = a.iter().copied().take(7).collect();
            prop_assert_eq!(x.first(7), ranges(&least));
            let part: BTreeSet<u64> = a.iter().copied().filter(|number| (10..30).contains(number)).collect();
            prop_assert_eq!(x.within_range(10..30), ranges(&part));
            let mut both = x.clone();
            both.extend(&y);
            prop_assert_eq!(both, ranges(&(&a | &b)));
            let json = serde_json::to_string(&x).unwrap();
            prop_assert_eq!(serde_json::from_str::<Ranges>(&json).unwrap(), x);
        }
    }

    #[test]
    fn neighbours_become_one_range() {
        let set = ranges(&[3, 1, 2, 7].into());
        assert_eq!(serde_json::to_string(&set).unwrap(), "[[1,3],[7,7]]");
        assert!(serde_json::from_str::<Ranges>("[[3,1]]").is_err());
    }
}

//! What lasts: values over time, told by the stretches in which they did not change.

use serde::Serialize;

/// Something that was so for a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch<T> {
    /// Since when.
    pub from_ms: u64,
    /// Until when.
    pub to_ms: u64,
    /// What.
    #[serde(flatten)]
    pub what: T,
}

/// A value over time, in the making.
#[derive(Debug, Clone)]
pub(super) struct Track<T> {
    done: Vec<Stretch<T>>,
    since: Option<(u64, T)>,
}

impl<T> Default for Track<T> {
    fn default() -> Self {
        Self {
            done: Vec::new(),
            since: None,
        }
    }
}

impl<T: PartialEq> Track<T> {
    /// From `at` on the value is this; `None` is not known.
    pub(super) fn set(&mut self, at: u64, value: Option<T>) {
        if self.since.as_ref().map(|(_, now)| now) == value.as_ref() {
            return;
        }
        self.close(at);
        self.since = value.map(|value| (at, value));
    }

    fn close(&mut self, at: u64) {
        // What did not last a millisecond was one change told by several events.
        if let Some((from, value)) = self.since.take().filter(|(from, _)| *from < at) {
            match self.done.last_mut() {
                Some(last) if last.to_ms == from && last.what == value => last.to_ms = at,
                _ => self.done.push(Stretch {
                    from_ms: from,
                    to_ms: at,
                    what: value,
                }),
            }
        }
    }

    /// The stretches, the last of which lasts until `at`.
    pub(super) fn end(mut self, at: u64) -> Vec<Stretch<T>> {
        self.close(at);
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretches(sets: &[(u64, Option<char>)]) -> Vec<(u64, u64, char)> {
        let mut track = Track::default();
        sets.iter().for_each(|(at, value)| track.set(*at, *value));
        let told = track.end(100).into_iter();
        told.map(|stretch| (stretch.from_ms, stretch.to_ms, stretch.what))
            .collect()
    }

    #[test]
    fn what_does_not_change_is_one_stretch_and_what_is_not_known_is_none() {
        let told = stretches(&[
            (0, Some('a')),
            (10, Some('a')),
            (20, Some('b')),
            (30, None),
            (40, Some('b')),
        ]);
        assert_eq!(told, [(0, 20, 'a'), (20, 30, 'b'), (40, 100, 'b')]);
    }

    #[test]
    fn a_value_of_no_length_leaves_no_trace() {
        let told = stretches(&[(0, Some('a')), (10, Some('b')), (10, Some('a'))]);
        assert_eq!(told, [(0, 100, 'a')]);
    }
}
